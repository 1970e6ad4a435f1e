package io.malleable.app;

import io.malleable.hardware.ConsoleSession;
import io.malleable.hardware.Firmware;
import io.malleable.hardware.HardwareSettings;
import io.malleable.hardware.PowerDriver;
import io.malleable.hardware.PowerDrivers;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A virtual machine as somebody at its serial console sees it. Needs no server, so it works while
 * the server is dead.
 */
final class Guest implements AutoCloseable {
  /** Without any output for that long, a machine is stuck: the deadline that noise cannot break. */
  private static final Duration SILENCE_LIMIT = Duration.ofMinutes(3);

  private static final Pattern READY = Pattern.compile("M2 READY boot=(\\d+) [^\\r\\n]*");
  private static final Pattern PROMPT = Pattern.compile("/ # ");
  private static final int TAIL_CHARS = 3000;

  private final PowerDrivers drivers;
  private final String name;
  private final Path directory;
  private final Path log;
  private final Supplier<String> serversView;

  /**
   * A machine of the lab.
   *
   * @param serversView how far the machine is and the server's log, for the message when it gets no
   *     further
   */
  Guest(Path labDirectory, String name, Supplier<String> serversView) {
    boolean root = System.getProperty("user.name").equals("root");
    HardwareSettings lab = HardwareSettings.lab(labDirectory);
    this.drivers =
        new PowerDrivers(
            new HardwareSettings(
                labDirectory, lab.credentials(), root ? "nobody" : null, lab.bmcCertificates()));
    this.name = name;
    this.directory = labDirectory.resolve(name);
    this.log = directory.resolve("console.log");
    this.serversView = serversView;
  }

  /** The switch of the machine, for one that its server has no power over. */
  PowerDriver power() {
    return drivers.driver("qemu:" + name, Firmware.BIOS);
  }

  /** What the machine has written since it was powered on. */
  String console() {
    try {
      return Files.exists(log) ? Files.readString(log, StandardCharsets.ISO_8859_1) : "";
    } catch (IOException e) {
      throw new java.io.UncheckedIOException("cannot read the console of " + name, e);
    }
  }

  String consoleTail() {
    String all = console();
    return all.substring(Math.max(0, all.length() - TAIL_CHARS));
  }

  /** Waits for the line that the small image writes when it is up; the number of its boot. */
  int awaitReady() {
    Matcher ready = await(READY, 0);
    await(PROMPT, ready.end());
    return Integer.parseInt(ready.group(1));
  }

  /** Waits for a text on the console. */
  Matcher await(Pattern pattern) {
    return await(pattern, 0);
  }

  /** Waits for a text at or after a place on the console. */
  Matcher await(Pattern pattern, int from) {
    Patience patience = new Patience(SILENCE_LIMIT);
    int length = -1;
    while (true) {
      String console = console();
      Matcher matcher = pattern.matcher(console);
      // The log begins anew at each power-on.
      if (matcher.find(Math.min(from, console.length()))) {
        return matcher;
      }
      if (console.length() != length) {
        length = console.length();
        patience.renew();
      }
      boolean gaveUp = console.contains("M2 FAILED");
      if (gaveUp || !patience.waitOn()) {
        throw new AssertionError(
            "machine %s, power %s, never wrote %s; it %s after: %s%nits console:%n%s%nits server:%n%s"
                .formatted(
                    name,
                    powerState(),
                    pattern,
                    gaveUp ? "gave up" : "was silent for " + SILENCE_LIMIT,
                    lastLine(console),
                    consoleTail(),
                    serversView.get()));
      }
    }
  }

  private String powerState() {
    try {
      return power().state().toString();
    } catch (IOException e) {
      return e.toString();
    }
  }

  /** For the first line of a failure, which is all that a summary shows. */
  private static String lastLine(String console) {
    return console
        .lines()
        .map(line -> line.replaceAll("[^ -~]", "").strip())
        .filter(line -> !line.isEmpty())
        .reduce("nothing", (_, last) -> last);
  }

  /** Runs a command line in the machine's shell and returns what it printed. */
  String run(String commandLine) throws IOException {
    int from = console().length();
    // The shell echoes what is typed; only the sums' results tell the output from it.
    type(" echo begin-$((40+2)); " + commandLine + "; echo end-$((40+2))-$?\n");
    Matcher end = await(Pattern.compile("begin-42\\r\\n([\\s\\S]*)end-42-(\\d+)\\r\\n"), from);
    if (!end.group(2).equals("0")) {
      throw new AssertionError(
          "on " + name + ": " + commandLine + ": status " + end.group(2) + "\n" + end.group(1));
    }
    return end.group(1).replace("\r", "").strip();
  }

  /** Types without waiting for anything. */
  void type(String text) throws IOException {
    try (ConsoleSession session =
        drivers.console(UUID.randomUUID(), "qemu:" + name).orElseThrow().open(0)) {
      session.write(text.getBytes(StandardCharsets.ISO_8859_1));
    }
  }

  /** Starts to write numbered records; each number is told when its record is durable. */
  void startWriter() throws IOException {
    type("m2-writer /root/records &\n");
    awaitWritten(3);
  }

  /** How many records the machine has told to be durable. */
  int written() {
    int last = 0;
    Matcher told = Pattern.compile("M2 WROTE (\\d+)\\r").matcher(console());
    while (told.find()) {
      last = Integer.parseInt(told.group(1));
    }
    return last;
  }

  /** Waits until the machine has told that many records. */
  void awaitWritten(int count) {
    int from = 0;
    while (written() < count) {
      from = await(Pattern.compile("M2 WROTE \\d+\\r"), from).end();
    }
  }

  /** Cuts the power. */
  @Override
  public void close() throws IOException {
    if (Files.isDirectory(directory)) {
      power().off();
    }
  }
}
