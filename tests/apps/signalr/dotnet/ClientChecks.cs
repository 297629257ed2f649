using System.Threading.Channels;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace SignalRTests;

/// <summary>Real .NET clients of two app servers: the first with JSON, the second with MessagePack.</summary>
public static class ClientChecks
{
    private sealed class Client : IAsyncDisposable
    {
        private readonly Channel<string> received = Channel.CreateUnbounded<string>();
        private readonly HubConnection hub;

        private Client(string url, string user, bool messagePack)
        {
            var builder = new HubConnectionBuilder().WithUrl($"{url}/hub?user={user}");
            if (messagePack) builder.AddMessagePackProtocol();
            hub = builder.Build();
            hub.On<string>("message", text => received.Writer.TryWrite(text));
            hub.On<byte[]>("binary", bytes => received.Writer.TryWrite(Convert.ToHexString(bytes)));
            hub.On<string, string>("ask", question => Answer(question));
        }

        public string Id => hub.ConnectionId ?? throw new CheckFailed("not connected");

        public Func<string, Task<string>> Answer { get; set; } = question => Task.FromResult($"{question}!");

        public static async Task<Client> Connect(string url, string user, bool messagePack)
        {
            var client = new Client(url, user, messagePack);
            await client.hub.StartAsync().InTime();
            await client.ExpectNone(); // the server says that it is connected before it has subscribed to its channel
            return client;
        }

        public Task Call(string method, params object[] arguments) => hub.InvokeCoreAsync(method, arguments).InTime();

        public Task<string> Ask(string id, string question, int timeoutMs = 5000) =>
            hub.InvokeAsync<string>("Ask", id, question, timeoutMs).InTime();

        public async Task Expect(string text) =>
            Checks.Equal(text, await received.Reader.ReadAsync().AsTask().InTime(), "message");

        /// <summary>What the server has written to this client until now holds no message.</summary>
        public async Task ExpectNone()
        {
            await Call("Caller", "fence");
            await Expect("fence");
        }

        public ValueTask DisposeAsync() => hub.DisposeAsync();
    }

    private sealed record Four(Client Ann, Client Bob, Client Carl, Client Ann2) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            foreach (var client in new[] { Ann, Bob, Carl, Ann2 }) await client.DisposeAsync();
        }
    }

    private static Task Expect(string text, params Client[] clients) =>
        Task.WhenAll(clients.Select(client => client.Expect(text)));

    private static Task ExpectNone(params Client[] clients) =>
        Task.WhenAll(clients.Select(client => client.ExpectNone()));

    /// <summary>ann and bob are on the first server, carl and ann once more on the second.</summary>
    public static IEnumerable<Check> All(string first = "", string second = "")
    {
        Check Check(string name, Func<Four, Task> body) => new($".NET clients: {name}", async () =>
        {
            await using var four = new Four(
                await Client.Connect(first, "ann", false), await Client.Connect(first, "bob", true),
                await Client.Connect(second, "carl", false), await Client.Connect(second, "ann", true));
            await body(four);
            await ExpectNone(four.Ann, four.Bob, four.Carl, four.Ann2);
        });

        yield return Check("all, others, all except", async c =>
        {
            await c.Ann.Call("All", "1");
            await Expect("1", c.Ann, c.Bob, c.Carl, c.Ann2);
            await c.Carl.Call("Others", "2");
            await Expect("2", c.Ann, c.Bob, c.Ann2);
            await c.Bob.Call("AllExcept", "3", new[] { c.Ann.Id, c.Carl.Id });
            await Expect("3", c.Bob, c.Ann2);
            await c.Ann2.Call("All", "4");
            await Expect("4", c.Ann, c.Bob, c.Carl, c.Ann2);
        });

        yield return Check("groups changed from the other server", async c =>
        {
            await c.Carl.Call("Join", c.Ann.Id, "room");
            await c.Ann.Call("Join", c.Carl.Id, "room");
            await c.Ann2.Call("Join", c.Bob.Id, "room");
            await c.Ann2.Call("Group", "1", "room");
            await Expect("1", c.Ann, c.Bob, c.Carl);
            await c.Ann2.Call("GroupExcept", "2", "room", new[] { c.Bob.Id });
            await Expect("2", c.Ann, c.Carl);
            await c.Carl.Call("Leave", c.Ann.Id, "room");
            await c.Carl.Call("OthersInGroup", "3", "room");
            await Expect("3", c.Bob);
            await c.Carl.Call("Group", "4", "room");
            await Expect("4", c.Bob, c.Carl);
        });

        yield return Check("users and connections", async c =>
        {
            await c.Carl.Call("User", "1", "ann");
            await Expect("1", c.Ann, c.Ann2);
            await c.Ann.Call("Users", "2", new[] { "bob", "carl" });
            await Expect("2", c.Bob, c.Carl);
            await c.Ann.Call("Connection", "3", c.Carl.Id);
            await Expect("3", c.Carl);
            await c.Ann2.Call("Connections", "4", new[] { c.Bob.Id, c.Ann2.Id });
            await Expect("4", c.Bob, c.Ann2);
        });

        yield return Check("binary data in both protocols", async c =>
        {
            var bytes = Enumerable.Range(0, 256).Select(value => (byte)value).ToArray();
            await c.Bob.Call("Binary", bytes);
            await Expect(Convert.ToHexString(bytes), c.Ann, c.Bob, c.Carl, c.Ann2);
        });

        yield return Check("client results across servers, in every mix of protocols", async c =>
        {
            foreach (var asker in new[] { c.Ann, c.Bob })
            {
                foreach (var asked in new[] { c.Carl, c.Ann2 })
                {
                    Checks.Equal("why!", await asker.Ask(asked.Id, "why"), "answer");
                    Checks.Equal("who!", await asked.Ask(asker.Id, "who"), "answer");
                }
            }
        });

        yield return Check("an error of the asked client comes back", async c =>
        {
            c.Carl.Answer = _ => throw new InvalidOperationException("I do not know");
            var error = await Checks.Throws<HubException>(c.Ann.Ask(c.Carl.Id, "why"));
            Checks.True(error.Message.EndsWith("HubException: I do not know"), error.Message);
        });

        yield return Check("to ask an unknown connection is an IOException at once", async c =>
        {
            var error = await Checks.Throws<HubException>(c.Ann.Ask("nobody", "why", 60000));
            Checks.True(error.Message.EndsWith("IOException: Connection 'nobody' does not exist."), error.Message);
        });

        yield return Check("a client that goes while it is asked fails the call", async c =>
        {
            var asked = new TaskCompletionSource();
            var never = new TaskCompletionSource<string>();
            var victim = await Client.Connect(second, "dora", true);
            victim.Answer = _ =>
            {
                asked.TrySetResult();
                return never.Task;
            };
            var answer = c.Ann.Ask(victim.Id, "why", 60000);
            await asked.Task.InTime();
            await victim.DisposeAsync();
            var error = await Checks.Throws<HubException>(answer);
            Checks.True(error.Message.EndsWith("HubException: Connection disconnected."), error.Message);
        });
    }
}
