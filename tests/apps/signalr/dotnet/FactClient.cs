using System.IO.Pipelines;
using System.Text;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using Microsoft.Extensions.Logging.Abstractions;

namespace SignalRTests;

/// <summary>A connection to a hub without a network: what the server writes to it can be read.</summary>
public sealed class FactClient : IDisposable
{
    private readonly JsonHubProtocol protocol = new();
    private readonly Pipe toServer = new();
    private readonly Pipe toClient = new();
    private readonly DefaultConnectionContext transport;

    /// <param name="user">The user that the connection belongs to, if any.</param>
    /// <param name="brokenWrites">Every write to the client fails.</param>
    public FactClient(string? user = null, bool brokenWrites = false)
    {
        transport = new DefaultConnectionContext(Guid.NewGuid().ToString())
        {
            Transport = new Duplex(toServer.Reader, toClient.Writer),
        };
        var options = new HubConnectionContextOptions { KeepAliveInterval = TimeSpan.FromMinutes(5) };
        Connection = brokenWrites
            ? new BrokenConnection(transport, options)
            : new HubConnectionContext(transport, options, NullLoggerFactory.Instance);
        Connection.Protocol = protocol;
        Connection.UserIdentifier = user;
    }

    public HubConnectionContext Connection { get; }

    public string Id => Connection.ConnectionId;

    /// <summary>The next call to the client.</summary>
    public async Task<InvocationMessage> Next()
    {
        for (; ; )
        {
            var read = await toClient.Reader.ReadAsync().AsTask().InTime();
            var buffer = read.Buffer;
            if (protocol.TryParseMessage(ref buffer, Binder.Instance, out var message))
            {
                toClient.Reader.AdvanceTo(buffer.Start);
                return message as InvocationMessage ?? throw new CheckFailed($"the client got a {message}");
            }
            Checks.True(!read.IsCompleted, "the connection ended before a message came");
            toClient.Reader.AdvanceTo(buffer.Start, buffer.End);
        }
    }

    public async Task Expect(string text)
    {
        var message = await Next();
        Checks.Equal("hello", message.Target, "target");
        Checks.Equal(text, message.Arguments.Length == 1 ? message.Arguments[0] as string : null, "argument");
    }

    /// <summary>What was written and not read; nothing is waited for.</summary>
    public void ExpectNoMore()
    {
        if (!toClient.Reader.TryRead(out var read)) return;
        var text = Encoding.UTF8.GetString(read.Buffer);
        toClient.Reader.AdvanceTo(read.Buffer.Start);
        Checks.Equal("", text, "messages that nobody should have sent");
    }

    public void Dispose()
    {
        Connection.Abort();
        toClient.Reader.Complete();
        toServer.Writer.Complete();
    }

    private sealed record Duplex(PipeReader Input, PipeWriter Output) : IDuplexPipe;

    private sealed class BrokenConnection(ConnectionContext context, HubConnectionContextOptions options)
        : HubConnectionContext(context, options, NullLoggerFactory.Instance)
    {
        public override ValueTask WriteAsync(HubMessage message, CancellationToken cancellation = default) =>
            ValueTask.FromException(new IOException("this connection cannot be written to"));

        public override ValueTask WriteAsync(SerializedHubMessage message, CancellationToken cancellation = default) =>
            ValueTask.FromException(new IOException("this connection cannot be written to"));
    }

    private sealed class Binder : IInvocationBinder
    {
        public static readonly Binder Instance = new();

        public IReadOnlyList<Type> GetParameterTypes(string methodName) => [typeof(string)];

        public Type GetReturnType(string invocationId) => typeof(object);

        public Type GetStreamItemType(string streamId) => typeof(object);
    }
}
