using SignalRChat;

var builder = WebApplication.CreateBuilder(args);
var backplane = builder.Configuration.GetConnectionString("Backplane")
    ?? throw new InvalidOperationException("ConnectionStrings:Backplane is not set.");

// The same with Redis and with Sidebus: only the connection string in appsettings.json differs.
builder.Services.AddSignalR().AddStackExchangeRedis(backplane);

var app = builder.Build();
app.UseDefaultFiles();
app.UseStaticFiles();
app.MapHub<ChatHub>("/chat");
app.MapGet("/server", () => Environment.GetEnvironmentVariable("CHAT_SERVER") ?? Environment.MachineName);
app.Run();
