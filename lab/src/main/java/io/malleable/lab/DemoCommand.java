package io.malleable.lab;

import io.malleable.cli.CommandFailure;
import io.malleable.cli.Terminal;
import io.malleable.hardware.Firmware;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code m2 lab demo}, which {@code script/demo} calls. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    description =
        "Shows one boot from beginning to end: its own server in a temporary directory, a small"
            + " image, a virtual server that boots it. Everything is removed afterwards.")
final class DemoCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--firmware",
      paramLabel = "FIRMWARE",
      defaultValue = "bios",
      description = "bios or uefi (default ${DEFAULT-VALUE})")
  private Firmware firmware;

  @Option(names = "--stay", description = "leave everything running, with the commands to play")
  private boolean stay;

  @Option(
      names = "--stop",
      paramLabel = "DIR",
      description = "stop and remove what an earlier --stay left running in DIR")
  private @Nullable Path stopped;

  @Override
  public Integer call() {
    LiveScreen screen =
        new LiveScreen(
            Terminal.ofProcess(), spec.commandLine().getOut(), spec.commandLine().getErr());
    if (stopped != null) {
      DemoPlace place = DemoPlace.existing(stopped.toAbsolutePath().normalize());
      place.remove();
      screen.say("Stopped and removed: " + place.directory());
      return 0;
    }
    DemoPlace place = DemoPlace.create();
    Thread interrupted = Thread.ofPlatform().name("interrupted").unstarted(place::remove);
    Runtime.getRuntime().addShutdownHook(interrupted);
    boolean keep = false;
    try {
      new Demo(place, screen, firmware, launcher()).run();
      keep = stay;
      if (stay) {
        place.tellHowToPlay(screen, caller());
      }
      return 0;
    } catch (CommandFailure e) {
      if (place.isRemoved()) {
        // Ctrl-C took the server away from under us; the hook cleans up and ends the process.
        LockSupport.park();
      }
      screen.clear();
      throw e;
    } finally {
      if (keep) {
        Runtime.getRuntime().removeShutdownHook(interrupted);
      } else {
        place.remove();
      }
    }
  }

  /** The start script of the distribution that this very command runs from. */
  private static List<String> launcher() {
    Path jar = Path.of(System.getProperty("java.class.path").split(":", 2)[0]).toAbsolutePath();
    Path library = jar.getParent();
    Path script = library == null ? jar : library.resolveSibling("bin").resolve("m2");
    if (!Files.isExecutable(script)) {
      throw new CommandFailure(
          "the demo starts a server of its own, and its start script is not at " + script,
          "Run script/demo, or bin/m2 lab demo of a distribution.");
    }
    return List.of(script.toString());
  }

  /** How the user calls this program: from a checkout, or installed. */
  private static String caller() {
    return Files.isExecutable(Path.of("m2")) ? "./m2" : "m2";
  }
}
