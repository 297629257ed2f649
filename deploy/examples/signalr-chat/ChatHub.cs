using Microsoft.AspNetCore.SignalR;

namespace SignalRChat;

/// <summary>Rooms that people join and talk in. Knows nothing about how many servers there are.</summary>
public sealed class ChatHub : Hub
{
    private const int LongestName = 40;
    private const int LongestText = 2000;
    private const string NameKey = "name";
    private const string RoomKey = "room";

    public async Task Join(string room, string name)
    {
        await LeaveRoom();
        room = Checked(room, LongestName);
        Context.Items[NameKey] = Checked(name, LongestName);
        Context.Items[RoomKey] = room;
        await Groups.AddToGroupAsync(Context.ConnectionId, room);
        await Clients.Group(room).SendAsync("joined", Context.Items[NameKey]);
    }

    public Task Say(string text) =>
        Clients.Group(Room ?? throw new HubException("Join a room first."))
            .SendAsync("said", Context.Items[NameKey], Checked(text, LongestText));

    public override async Task OnDisconnectedAsync(Exception? exception)
    {
        await LeaveRoom();
        await base.OnDisconnectedAsync(exception);
    }

    private string? Room => Context.Items.TryGetValue(RoomKey, out var room) ? (string?)room : null;

    private async Task LeaveRoom()
    {
        if (Room is not { } room) return;
        Context.Items.Remove(RoomKey);
        await Groups.RemoveFromGroupAsync(Context.ConnectionId, room);
        await Clients.Group(room).SendAsync("left", Context.Items[NameKey]);
    }

    private static string Checked(string text, int longest) =>
        string.IsNullOrWhiteSpace(text) || text.Length > longest
            ? throw new HubException($"Please use 1 to {longest} characters.")
            : text.Trim();
}
