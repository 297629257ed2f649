using Microsoft.AspNetCore.SignalR;
using Microsoft.AspNetCore.SignalR.Protocol;
using Microsoft.AspNetCore.SignalR.StackExchangeRedis;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace SignalRTests;

/// <summary>Where one app server finds its backplane.</summary>
public sealed record Backplane(string ConnectionString)
{
    /// <summary>A server without its network side. Servers with the same scope hear each other.</summary>
    public RedisHubLifetimeManager<Hub> NewServer(string scope)
    {
        var configuration = ConfigurationOptions.Parse(ConnectionString);
        configuration.ChannelPrefix = RedisChannel.Literal(scope);
        var protocols = new Protocols();
        return new RedisHubLifetimeManager<Hub>(
            NullLogger<RedisHubLifetimeManager<Hub>>.Instance,
            Options.Create(new RedisOptions { Configuration = configuration }),
            protocols,
            Options.Create(new HubOptions { SupportedProtocols = [protocols.Json.Name] }),
            Options.Create(new HubOptions<Hub> { SupportedProtocols = [protocols.Json.Name] }));
    }

    private sealed class Protocols : IHubProtocolResolver
    {
        public readonly JsonHubProtocol Json = new();

        public IReadOnlyList<IHubProtocol> AllProtocols => [Json];

        public IHubProtocol? GetProtocol(string protocolName, IReadOnlyList<string>? supportedProtocols) =>
            protocolName == Json.Name ? Json : null;
    }
}
