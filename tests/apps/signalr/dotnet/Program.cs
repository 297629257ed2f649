using SignalRTests;

switch (args)
{
    case ["server", .. var options]:
        await AppServer.Run(options);
        return 0;
    case ["names", "facts"]:
        return Checks.PrintNames(ManagerFacts.All());
    case ["facts", var first, var second]:
        return await Checks.Run(ManagerFacts.All(new Backplane(first), new Backplane(second)));
    case ["names", "clients"]:
        return Checks.PrintNames(ClientChecks.All());
    case ["clients", var first, var second]:
        return await Checks.Run(ClientChecks.All(first, second));
    default:
        Console.Error.WriteLine("""
            Usage: signalr-tests server --urls URL --backplane CONNECTION-STRING --name NAME
                   signalr-tests names facts | clients             the names of the checks, one a line
                   signalr-tests facts CONNECTION-STRING CONNECTION-STRING
                   signalr-tests clients URL URL
            """);
        return 2;
}
