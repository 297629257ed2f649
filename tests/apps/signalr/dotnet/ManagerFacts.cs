using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using Server = Microsoft.AspNetCore.SignalR.StackExchangeRedis.RedisHubLifetimeManager<Microsoft.AspNetCore.SignalR.Hub>;

namespace SignalRTests;

/// <summary>
/// What ASP.NET Core promises of a backplane, checked on its Redis backplane with two servers, each on its own node.
/// Nothing here waits for an effect after the call that promises it was awaited. That something is not delivered is
/// checked behind a later message on the same channel.
/// </summary>
public static class ManagerFacts
{
    private static readonly object[] Hello = ["world"];

    private sealed class Pair(Backplane first, Backplane second) : IDisposable
    {
        private const int ProbeMs = 200;
        private static int scopes;
        private readonly string scope = $"{Environment.ProcessId}-{Interlocked.Increment(ref scopes)}-";
        private readonly List<IDisposable> things = [];

        /// <summary>
        /// Two servers that hear each other. A new server takes calls before all its subscriptions are confirmed, and
        /// would lose the answers to early ones on Redis too.
        /// </summary>
        public async Task<(Server, Server)> Servers()
        {
            var (one, two) = (Keep(first.NewServer(scope)), Keep(second.NewServer(scope)));
            await Task.WhenAll(Hears(one, two), Hears(two, one)).InTime();
            return (one, two);
        }

        private static async Task Hears(Server asker, Server asked)
        {
            using var client = new FactClient();
            await asked.OnConnectedAsync(client.Connection);
            for (var heard = false; !heard;)
            {
                using var patience = new CancellationTokenSource(ProbeMs);
                var answer = asker.InvokeConnectionAsync<int>(client.Id, "probe", ["probe"], patience.Token);
                var call = await client.Next();
                await asked.SetConnectionResultAsync(client.Id, CompletionMessage.WithResult(call.InvocationId!, 1));
                heard = await answer.ContinueWith(task => task.IsCompletedSuccessfully);
            }
            await asked.OnDisconnectedAsync(client.Connection);
        }

        public async Task<FactClient> Client(Server server, string? user = null, bool brokenWrites = false)
        {
            var client = Keep(new FactClient(user, brokenWrites));
            await server.OnConnectedAsync(client.Connection).InTime();
            return client;
        }

        public void Dispose()
        {
            things.OfType<FactClient>().ToList().ForEach(client => client.ExpectNoMore());
            things.Reverse();
            things.ForEach(thing => thing.Dispose());
        }

        private T Keep<T>(T thing) where T : IDisposable
        {
            things.Add(thing);
            return thing;
        }
    }

    private static async Task Fence(Server from, params FactClient[] clients)
    {
        foreach (var client in clients)
        {
            await from.SendConnectionAsync(client.Id, "hello", ["fence"]).InTime();
            await client.Expect("fence");
        }
    }

    private static async Task ExpectHello(params FactClient[] clients)
    {
        foreach (var client in clients) await client.Expect("world");
    }

    public static IEnumerable<Check> All(Backplane? first = null, Backplane? second = null)
    {
        Check Fact(string name, Func<Pair, Server, Server, Task> body) => new(name, async () =>
        {
            using var pair = new Pair(first!, second!);
            var (one, two) = await pair.Servers();
            await body(pair, one, two);
        });

        yield return Fact("a send to all reaches the connections of both servers", async (pair, one, two) =>
        {
            var (here, there) = (await pair.Client(one), await pair.Client(two));
            await one.SendAllAsync("hello", Hello).InTime();
            await ExpectHello(here, there);
        });

        yield return Fact("a send to all leaves out who has disconnected", async (pair, one, two) =>
        {
            var (here, there, gone) = (await pair.Client(one), await pair.Client(two), await pair.Client(two));
            await two.OnDisconnectedAsync(gone.Connection).InTime();
            await two.SendAllAsync("hello", Hello).InTime();
            await ExpectHello(here, there);
            gone.ExpectNoMore();
        });

        yield return Fact("a send to all leaves out who is excluded, on both servers", async (pair, one, two) =>
        {
            FactClient[] all = [await pair.Client(one), await pair.Client(one), await pair.Client(two), await pair.Client(two)];
            await one.SendAllExceptAsync("hello", Hello, [all[1].Id, all[2].Id]).InTime();
            await ExpectHello(all[0], all[3]);
            await Fence(two, all[1], all[2]);
        });

        yield return Fact("a send to a connection of the other server reaches it and nobody else", async (pair, one, two) =>
        {
            var (client, other) = (await pair.Client(one), await pair.Client(one));
            await two.SendConnectionAsync(client.Id, "hello", Hello).InTime();
            await ExpectHello(client);
            await Fence(two, other);
        });

        yield return Fact("a send to several connections reaches each once, on both servers", async (pair, one, two) =>
        {
            var (here, there, other) = (await pair.Client(one), await pair.Client(two), await pair.Client(two));
            await one.SendConnectionsAsync([here.Id, there.Id], "hello", Hello).InTime();
            await ExpectHello(here, there);
            await Fence(one, here, there, other);
        });

        yield return Fact("a send to a local connection does not come back through the backplane", async (pair, one, two) =>
        {
            var client = await pair.Client(one);
            await two.OnConnectedAsync(client.Connection).InTime();
            await one.SendConnectionAsync(client.Id, "hello", Hello).InTime();
            await ExpectHello(client);
            await Fence(two, client);
        });

        yield return Fact("a send to a connection that nobody has does not throw", async (pair, one, two) =>
        {
            await one.SendConnectionAsync("nobody", "hello", Hello).InTime();
            await two.SendConnectionsAsync(["nobody", "no one"], "hello", Hello).InTime();
        });

        yield return Fact("a send to a group reaches its members on the other server, and no others", async (pair, one, two) =>
        {
            var (member, other) = (await pair.Client(one), await pair.Client(one));
            await one.AddToGroupAsync(member.Id, "group").InTime();
            await two.SendGroupAsync("group", "hello", Hello).InTime();
            await ExpectHello(member);
            await Fence(two, other);
        });

        yield return Fact("a send to several groups reaches the members of each", async (pair, one, two) =>
        {
            var (red, blue, green) = (await pair.Client(one), await pair.Client(two), await pair.Client(two));
            await one.AddToGroupAsync(red.Id, "red").InTime();
            await two.AddToGroupAsync(blue.Id, "blue").InTime();
            await two.AddToGroupAsync(green.Id, "green").InTime();
            await one.SendGroupsAsync(["red", "blue"], "hello", Hello).InTime();
            await ExpectHello(red, blue);
            await Fence(one, green);
        });

        yield return Fact("a send to a group leaves out who is excluded, on both servers", async (pair, one, two) =>
        {
            FactClient[] all = [await pair.Client(one), await pair.Client(one), await pair.Client(two), await pair.Client(two)];
            foreach (var client in all) await two.AddToGroupAsync(client.Id, "group").InTime();
            await one.SendGroupExceptAsync("group", "hello", Hello, [all[0].Id, all[3].Id]).InTime();
            await ExpectHello(all[1], all[2]);
            await one.SendGroupAsync("group", "hello", Hello).InTime();
            await ExpectHello(all);
        });

        yield return Fact("a member of a group that disconnects gets nothing more", async (pair, one, two) =>
        {
            var (member, stays) = (await pair.Client(one), await pair.Client(one));
            await one.AddToGroupAsync(member.Id, "group").InTime();
            await one.AddToGroupAsync(stays.Id, "group").InTime();
            await one.OnDisconnectedAsync(member.Connection).InTime();
            await two.SendGroupAsync("group", "hello", Hello).InTime();
            await ExpectHello(stays);
            member.ExpectNoMore();
        });

        yield return Fact("a remote add to a group is effective once awaited", async (pair, one, two) =>
        {
            var member = await pair.Client(one);
            for (var i = 0; i < 20; i++)
            {
                await two.AddToGroupAsync(member.Id, $"group {i}").InTime();
                await two.SendGroupAsync($"group {i}", "hello", Hello).InTime();
                await ExpectHello(member);
            }
        });

        yield return Fact("a remote removal from a group is effective once awaited", async (pair, one, two) =>
        {
            var (member, stays) = (await pair.Client(one), await pair.Client(one));
            await two.AddToGroupAsync(stays.Id, "group").InTime();
            for (var i = 0; i < 10; i++)
            {
                await two.AddToGroupAsync(member.Id, "group").InTime();
                await two.SendGroupAsync("group", "hello", Hello).InTime();
                await ExpectHello(member, stays);
                await two.RemoveFromGroupAsync(member.Id, "group").InTime();
                await two.SendGroupAsync("group", "hello", Hello).InTime();
                await ExpectHello(stays);
                member.ExpectNoMore();
            }
        });

        yield return Fact("the last member's removal from a group is effective once awaited", async (pair, one, two) =>
        {
            var member = await pair.Client(one);
            for (var i = 0; i < 10; i++)
            {
                await two.AddToGroupAsync(member.Id, "group").InTime();
                await two.RemoveFromGroupAsync(member.Id, "group").InTime();
                await two.SendGroupAsync("group", "hello", Hello).InTime();
                await Fence(two, member);
            }
        });

        yield return Fact("removing a local connection from a group that it is not in does nothing", async (pair, one, two) =>
            await one.RemoveFromGroupAsync((await pair.Client(one)).Id, "group").InTime());

        yield return Fact("removing a remote connection from a group that it is not in does nothing", async (pair, one, two) =>
            await two.RemoveFromGroupAsync((await pair.Client(one)).Id, "group").InTime());

        foreach (var remote in new[] { false, true })
        {
            yield return Fact($"a {(remote ? "remote" : "local")} member added twice gets messages once", async (pair, one, two) =>
            {
                var member = await pair.Client(one);
                await one.AddToGroupAsync(member.Id, "group").InTime();
                await (remote ? two : one).AddToGroupAsync(member.Id, "group").InTime();
                await two.SendGroupAsync("group", "hello", Hello).InTime();
                await two.SendGroupAsync("group", "hello", ["second"]).InTime();
                await ExpectHello(member);
                await member.Expect("second");
            });
        }

        yield return Fact("a write that fails on the other server does not throw", async (pair, one, two) =>
        {
            var broken = await pair.Client(two, brokenWrites: true);
            await one.SendConnectionAsync(broken.Id, "hello", Hello).InTime();
        });

        yield return Fact("a member whose writes fail does not keep a group's messages from others", async (pair, one, two) =>
        {
            var (broken, member) = (await pair.Client(one, brokenWrites: true), await pair.Client(one));
            await one.AddToGroupAsync(broken.Id, "group").InTime();
            await one.AddToGroupAsync(member.Id, "group").InTime();
            for (var i = 0; i < 2; i++)
            {
                await two.SendGroupAsync("group", "hello", Hello).InTime();
                await ExpectHello(member);
            }
        });

        yield return Fact("a send to a user reaches all connections of that user, on both servers", async (pair, one, two) =>
        {
            FactClient[] ann = [await pair.Client(one, "ann"), await pair.Client(one, "ann"), await pair.Client(two, "ann")];
            var (bob, nobody) = (await pair.Client(two, "bob"), await pair.Client(one));
            await two.SendUserAsync("ann", "hello", Hello).InTime();
            await ExpectHello(ann);
            await Fence(one, bob, nobody);
        });

        yield return Fact("a send to several users reaches the connections of each", async (pair, one, two) =>
        {
            var (ann, bob, carl) = (await pair.Client(one, "ann"), await pair.Client(two, "bob"), await pair.Client(two, "carl"));
            await one.SendUsersAsync(["ann", "bob"], "hello", Hello).InTime();
            await ExpectHello(ann, bob);
            await Fence(one, carl);
        });

        yield return Fact("a user is reached until the last connection has gone", async (pair, one, two) =>
        {
            var (first, last) = (await pair.Client(one, "ann"), await pair.Client(one, "ann"));
            await two.SendUserAsync("ann", "hello", Hello).InTime();
            await ExpectHello(first, last);
            await one.OnDisconnectedAsync(first.Connection).InTime();
            await two.SendUserAsync("ann", "hello", Hello).InTime();
            await ExpectHello(last);
            first.ExpectNoMore();
        });

        foreach (var result in ClientResults(Fact)) yield return result;
    }

    private static IEnumerable<Check> ClientResults(Func<string, Func<Pair, Server, Server, Task>, Check> fact)
    {
        static Task<int> Ask(Server server, FactClient client) =>
            server.InvokeConnectionAsync<int>(client.Id, "ask", ["question"], CancellationToken.None);

        static async Task<string> Asked(FactClient client)
        {
            var call = await client.Next();
            Checks.Equal("question", call.Arguments[0] as string, "argument");
            return call.InvocationId ?? throw new CheckFailed("the call has no id");
        }

        yield return fact("a client's result crosses servers", async (pair, one, two) =>
        {
            var client = await pair.Client(one);
            var answer = Ask(two, client);
            var id = await Asked(client);
            await one.SetConnectionResultAsync(client.Id, CompletionMessage.WithResult(id, 10)).InTime();
            Checks.Equal(10, await answer.InTime(), "result");
        });

        yield return fact("a client's error crosses servers", async (pair, one, two) =>
        {
            var client = await pair.Client(one);
            var answer = Ask(two, client);
            var id = await Asked(client);
            await one.SetConnectionResultAsync(client.Id, CompletionMessage.WithError(id, "not today")).InTime();
            Checks.Equal("not today", (await Checks.Throws<HubException>(answer)).Message, "error");
        });

        yield return fact("a client's result of the wrong type is an error", async (pair, one, two) =>
        {
            var client = await pair.Client(one);
            var answer = Ask(two, client);
            var id = await Asked(client);
            await one.SetConnectionResultAsync(client.Id, CompletionMessage.WithResult(id, "no number")).InTime();
            var error = await Checks.Throws<HubException>(answer);
            Checks.True(error.Message.StartsWith("Error trying to deserialize result to Int32."), error.Message);
        });

        yield return fact("a result asked of a connection that nobody has is an IOException at once", async (pair, one, two) =>
        {
            await pair.Client(one);
            var error = await Checks.Throws<IOException>(
                two.InvokeConnectionAsync<int>("1234", "ask", ["question"], CancellationToken.None));
            Checks.Equal("Connection '1234' does not exist.", error.Message, "error");
        });

        yield return fact("a result asked of a connection that has gone is an IOException at once", async (pair, one, two) =>
        {
            for (var i = 0; i < 10; i++)
            {
                var client = await pair.Client(one);
                await one.OnDisconnectedAsync(client.Connection).InTime();
                var error = await Checks.Throws<IOException>(Ask(two, client));
                Checks.Equal($"Connection '{client.Id}' does not exist.", error.Message, "error");
            }
        });

        yield return fact("a client that disconnects without an answer fails the call of the other server", async (pair, one, two) =>
        {
            var client = await pair.Client(two);
            var answer = Ask(one, client);
            await Asked(client);
            client.Connection.Abort();
            await two.OnDisconnectedAsync(client.Connection).InTime();
            Checks.Equal("Connection disconnected.", (await Checks.Throws<HubException>(answer)).Message, "error");
        });

        yield return fact("calls of different servers have different ids", async (pair, one, two) =>
        {
            var client = await pair.Client(one);
            var first = Ask(one, client);
            var firstId = await Asked(client);
            var second = Ask(two, client);
            var secondId = await Asked(client);
            Checks.True(firstId != secondId, "both calls have the same id");
            await one.SetConnectionResultAsync(client.Id, CompletionMessage.WithResult(firstId, 2)).InTime();
            await one.SetConnectionResultAsync(client.Id, CompletionMessage.WithResult(secondId, 5)).InTime();
            Checks.Equal(2, await first.InTime(), "result of the first");
            Checks.Equal(5, await second.InTime(), "result of the second");
        });

        yield return fact("a hundred calls at once get each their own answer", async (pair, one, two) =>
        {
            var client = await pair.Client(one);
            var answers = Enumerable.Range(0, 100).Select(number => two.InvokeConnectionAsync<string>(
                client.Id, "ask", [number.ToString()], CancellationToken.None)).ToArray();
            for (var i = 0; i < answers.Length; i++)
            {
                var call = await client.Next();
                var result = CompletionMessage.WithResult(call.InvocationId!, $"{call.Arguments[0]}!");
                await one.SetConnectionResultAsync(client.Id, result).InTime();
            }
            for (var i = 0; i < answers.Length; i++) Checks.Equal($"{i}!", await answers[i].InTime(), "answer");
        });
    }
}
