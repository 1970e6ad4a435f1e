package io.malleable.bench;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** Entry point of {@code script/bench}. */
@Command(
    name = "bench",
    description = "Measures M2 beside programs that do the same, interleaved in one run.",
    subcommands = {TargetBench.class, VolumeBench.class, SessionBench.class})
public final class Bench {
  private Bench() {}

  /** Runs the benchmark that the first argument names. */
  public static void main(String[] arguments) {
    System.exit(
        new CommandLine(new Bench()).setCaseInsensitiveEnumValuesAllowed(true).execute(arguments));
  }
}
