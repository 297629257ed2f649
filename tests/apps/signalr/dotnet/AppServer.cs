using Microsoft.AspNetCore.SignalR;

namespace SignalRTests;

/// <summary>
/// One app server, set up as an app would: AddStackExchangeRedis with a connection string. Says "listening URL" when
/// clients can come.
/// </summary>
public static class AppServer
{
    public static async Task Run(string[] options)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = options });
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Logging.AddFilter("Microsoft.AspNetCore.SignalR.StackExchangeRedis", LogLevel.Information);
        builder.Services.AddSingleton<IUserIdProvider, UserFromQuery>();
        builder.Services.AddSingleton(new ServerName(builder.Configuration["name"] ?? "server"));
        builder.Services
            .AddSignalR(hub =>
            {
                hub.MaximumParallelInvocationsPerClient = 100; // a hub method may wait for another client's answer
                hub.EnableDetailedErrors = true;
            })
            .AddMessagePackProtocol()
            .AddStackExchangeRedis(builder.Configuration["backplane"]
                ?? throw new InvalidOperationException("no --backplane"));
        var app = builder.Build();
        app.MapHub<OperationsHub>("/hub");
        app.Lifetime.ApplicationStarted.Register(() => Console.WriteLine($"listening {app.Urls.First()}"));
        await app.RunAsync();
    }

    /// <summary>The user's name is what the client says: authentication is not what is tested.</summary>
    private sealed class UserFromQuery : IUserIdProvider
    {
        public string? GetUserId(HubConnectionContext connection) =>
            connection.GetHttpContext()?.Request.Query["user"].FirstOrDefault();
    }
}

public sealed record ServerName(string Value);

/// <summary>Every operation of SignalR that goes through a backplane, for clients to call.</summary>
public sealed class OperationsHub(ServerName server) : Hub
{
    private const string Method = "message";

    public string[] Who() => [Context.ConnectionId, server.Value];

    public Task All(string text) => Clients.All.SendAsync(Method, text);

    public Task AllExcept(string text, string[] ids) => Clients.AllExcept(ids).SendAsync(Method, text);

    public Task Others(string text) => Clients.Others.SendAsync(Method, text);

    public Task Caller(string text) => Clients.Caller.SendAsync(Method, text);

    public Task Connection(string text, string id) => Clients.Client(id).SendAsync(Method, text);

    public Task Connections(string text, string[] ids) => Clients.Clients(ids).SendAsync(Method, text);

    public Task Group(string text, string group) => Clients.Group(group).SendAsync(Method, text);

    public Task ManyGroups(string text, string[] groups) => Clients.Groups(groups).SendAsync(Method, text);

    public Task GroupExcept(string text, string group, string[] ids) =>
        Clients.GroupExcept(group, ids).SendAsync(Method, text);

    public Task OthersInGroup(string text, string group) => Clients.OthersInGroup(group).SendAsync(Method, text);

    public Task User(string text, string user) => Clients.User(user).SendAsync(Method, text);

    public Task Users(string text, string[] users) => Clients.Users(users).SendAsync(Method, text);

    public Task Binary(byte[] bytes) => Clients.All.SendAsync("binary", bytes);

    public Task Join(string id, string group) => Groups.AddToGroupAsync(id, group);

    public Task Leave(string id, string group) => Groups.RemoveFromGroupAsync(id, group);

    /// <summary>Asks one client, wherever it is, and gives its answer or the error that the app would see.</summary>
    public async Task<string> Ask(string id, string question, int timeoutMs)
    {
        using var timeout = new CancellationTokenSource(timeoutMs);
        try
        {
            return await Clients.Client(id).InvokeAsync<string>("ask", question, timeout.Token);
        }
        catch (Exception error)
        {
            throw new HubException($"{error.GetType().Name}: {error.Message}");
        }
    }
}
