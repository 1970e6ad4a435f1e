package io.malleable.lab;

import io.malleable.cli.CommandFailure;
import io.malleable.hardware.Firmware;
import io.malleable.hardware.HardwareSettings;
import io.malleable.hardware.PowerDrivers;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The temporary directory of a demo and all that runs in it. Removing it may be asked for by the
 * thread of the demo and by the one that handles Ctrl-C, and happens once.
 */
final class DemoPlace {
  private static final String PREFIX = "m2-demo-";

  private final Path directory;
  private @Nullable LocalServer server;
  private boolean removed;

  private DemoPlace(Path directory, @Nullable LocalServer server) {
    this.directory = directory;
    this.server = server;
  }

  static DemoPlace create() {
    try {
      return new DemoPlace(Files.createTempDirectory(PREFIX), null);
    } catch (IOException e) {
      throw new CommandFailure(
          "cannot make a temporary directory: " + e.getMessage(),
          "Set TMPDIR to a directory that you may write to.",
          e);
    }
  }

  /** A place that an earlier demo left. */
  static DemoPlace existing(Path directory) {
    Path name = directory.getFileName();
    boolean ours = name != null && name.toString().startsWith(PREFIX);
    if (!ours || !Files.isDirectory(directory.resolve("data"))) {
      throw new CommandFailure(
          directory + " is not the directory of a demo",
          "Give the one that script/demo --stay named; they are called /tmp/" + PREFIX + "*.");
    }
    Optional<LocalServer> server = LocalServer.running(directory);
    return new DemoPlace(directory, server.orElse(null));
  }

  Path directory() {
    return directory;
  }

  synchronized LocalServer startServer(List<String> program) {
    if (removed) {
      throw new CommandFailure("interrupted");
    }
    try {
      server = LocalServer.start(program, directory);
      return server;
    } catch (IOException e) {
      throw new CommandFailure("the server cannot be started: " + e.getMessage(), null, e);
    }
  }

  synchronized boolean isRemoved() {
    return removed;
  }

  /** Switches the machines off, stops the server, deletes the directory. */
  synchronized void remove() {
    if (removed) {
      return;
    }
    removed = true;
    switchMachinesOff();
    if (server != null) {
      server.stop();
    }
    LabMachines.delete(directory);
  }

  void tellHowToPlay(LiveScreen screen, String m2) {
    LocalServer running = server;
    if (running == null) {
      throw new IllegalStateException("no server was started");
    }
    screen.say(
        """

        All of this runs on. Play with it:
          export M2_URL=%2$s M2_TOKEN_FILE=%3$s
          %1$s status
          %1$s node show %4$s
          %1$s node console %4$s -f                   its last lines, then what comes
          %1$s snapshot create first --disk %4$s      of the running machine
          %1$s lab up --nodes 2
          %1$s node provision lab-1 --snapshot first
          %1$s node failover %4$s --to lab-2
        Stop and remove it all:
          %1$s lab demo --stop %5$s\
        """
            .formatted(
                m2, running.api().endpoint().url(), running.tokenFile(), Demo.NODE, directory));
  }

  /** Without the server: it may be the one that failed. */
  private void switchMachinesOff() {
    Path lab = directory.resolve("lab");
    if (!Files.isDirectory(lab)) {
      return;
    }
    PowerDrivers drivers = new PowerDrivers(HardwareSettings.lab(lab));
    try (DirectoryStream<Path> machines = Files.newDirectoryStream(lab)) {
      for (Path machine : machines) {
        drivers.driver("qemu:" + machine.getFileName(), Firmware.BIOS).off();
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot switch off the machines in " + lab, e);
    }
  }
}
