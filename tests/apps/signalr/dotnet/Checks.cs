using System.Diagnostics;

namespace SignalRTests;

/// <summary>A promise and the code that checks it.</summary>
public sealed record Check(string Name, Func<Task> Body);

public sealed class CheckFailed(string message) : Exception(message);

/// <summary>Runs checks one after the other, each with a deadline, and prints TAP without a plan.</summary>
public static class Checks
{
    // For a machine that is busy: what passes never waits for it.
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    public static int PrintNames(IEnumerable<Check> checks)
    {
        foreach (var check in checks) Console.WriteLine(check.Name);
        return 0;
    }

    public static async Task<int> Run(IEnumerable<Check> checks)
    {
        var failed = 0;
        foreach (var check in checks)
        {
            var took = Stopwatch.StartNew();
            try
            {
                await check.Body().WaitAsync(Deadline + Deadline);
                Console.WriteLine($"ok - {check.Name}");
            }
            catch (Exception error)
            {
                failed++;
                Console.WriteLine($"not ok - {check.Name}");
                foreach (var line in $"{error}\nafter {took.ElapsedMilliseconds} ms".Split('\n'))
                    Console.WriteLine($"# {line}");
            }
        }
        return failed == 0 ? 0 : 1;
    }

    public static Task<T> InTime<T>(this Task<T> task) => task.WaitAsync(Deadline);

    public static Task InTime(this Task task) => task.WaitAsync(Deadline);

    public static void Equal<T>(T expected, T actual, string what)
    {
        if (!EqualityComparer<T>.Default.Equals(expected, actual))
            throw new CheckFailed($"{what}: expected {expected}, got {actual}");
    }

    public static void True(bool condition, string what)
    {
        if (!condition) throw new CheckFailed(what);
    }

    public static async Task<T> Throws<T>(Task task) where T : Exception
    {
        try
        {
            await task.InTime();
        }
        catch (T error)
        {
            return error;
        }
        throw new CheckFailed($"no {typeof(T).Name} was thrown");
    }
}
