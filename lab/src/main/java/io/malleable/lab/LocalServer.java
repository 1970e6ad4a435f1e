package io.malleable.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.malleable.cli.ApiClient;
import io.malleable.cli.CommandFailure;
import io.malleable.cli.Endpoint;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A server process of our own on this machine: on loopback, on free ports, in a directory of its
 * own. It may be killed and started again on the same ports. The demo runs one; so do the boot
 * tests. One thread uses it.
 *
 * <pre>
 *   base/data         the server's data directory
 *   base/lab          its virtual machines
 *   base/server.log   what it says
 * </pre>
 */
public final class LocalServer {
  private static final Duration START_LIMIT = Duration.ofMinutes(2);
  private static final Duration STOP_LIMIT = Duration.ofMinutes(1);
  private static final Duration POLL = Duration.ofMillis(20);
  private static final long MAX_LOG_TAIL_BYTES = 4000;

  private final List<String> program;
  private final Path base;
  private final ServerPorts ports;
  private final ProcessHandle process;
  private final ApiClient api;

  /** The listeners' addresses, as {@code HOST:PORT}. */
  private record ServerPorts(String http, String bootHttp, String iscsi) {
    static final ServerPorts FREE = new ServerPorts("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0");
  }

  private LocalServer(
      List<String> program, Path base, ServerPorts ports, ProcessHandle process, ApiClient api) {
    this.program = program;
    this.base = base;
    this.ports = ports;
    this.process = process;
    this.api = api;
  }

  /**
   * Starts a server and returns when it serves.
   *
   * @param program the command that {@code serve} and its flags are given to
   * @param base an existing directory
   */
  public static LocalServer start(List<String> program, Path base) throws IOException {
    return start(program, base, ServerPorts.FREE);
  }

  /** Starts a server again where this one was; it must have ended. */
  public LocalServer startAgain() throws IOException {
    return start(program, base, ports);
  }

  private static LocalServer start(List<String> program, Path base, ServerPorts wanted)
      throws IOException {
    Path data = base.resolve("data");
    Path lab = base.resolve("lab");
    Files.createDirectories(lab);
    // In a session of its own: the Ctrl-C that ends the demo must leave it time to release
    // machines.
    List<String> command = new ArrayList<>(List.of("setsid"));
    command.addAll(program);
    command.addAll(List.of("serve", "--data", data.toString(), "--lab", lab.toString()));
    command.addAll(List.of("--http", wanted.http(), "--boot-http", wanted.bootHttp()));
    command.addAll(List.of("--iscsi", wanted.iscsi()));
    if (System.getProperty("user.name").equals("root")) {
      // Guests are foreign code. Their account must reach their directories.
      command.addAll(List.of("--qemu-user", "nobody"));
      Files.setPosixFilePermissions(base, PosixFilePermissions.fromString("rwx--x--x"));
      Files.setPosixFilePermissions(lab, PosixFilePermissions.fromString("rwx--x--x"));
    }
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().keySet().removeIf(name -> name.startsWith("M2_"));
    builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
    builder.redirectInput(Path.of("/dev/null").toFile()).redirectErrorStream(true);
    builder.redirectOutput(ProcessBuilder.Redirect.appendTo(log(base).toFile()));
    ProcessHandle process = builder.start().toHandle();
    try {
      JsonNode run = awaitRunFile(process, base);
      ServerPorts ports =
          new ServerPorts(
              run.path("http").asText(), run.path("bootHttp").asText(), run.path("iscsi").asText());
      String token = Files.readString(data.resolve("admin-token")).strip();
      URI url = URI.create("http://" + ports.http());
      ApiClient api = new ApiClient(new Endpoint(url, token, "default"));
      return new LocalServer(program, base, ports, process, api);
    } catch (IOException | RuntimeException e) {
      process.destroyForcibly();
      throw e;
    }
  }

  /** The server that runs in a directory, if one does; it cannot be started again. */
  static Optional<LocalServer> running(Path base) {
    JsonNode run = readIfWhole(base.resolve("data").resolve("run.json"));
    Optional<ProcessHandle> process =
        run == null ? Optional.empty() : ProcessHandle.of(run.path("pid").asLong());
    try {
      return run == null || process.isEmpty() || !serves(process.get(), base)
          ? Optional.empty()
          : Optional.of(of(List.of("false"), base, run, process.get()));
    } catch (IOException e) {
      throw new CommandFailure(
          "cannot tell whether a server runs in " + base + ": " + e.getMessage(), null, e);
    }
  }

  /** The number in the file may have passed on to another process. */
  private static boolean serves(ProcessHandle process, Path base) throws IOException {
    Path commandLine = Path.of("/proc", Long.toString(process.pid()), "cmdline");
    return Files.exists(commandLine)
        && Files.readString(commandLine, StandardCharsets.ISO_8859_1)
            .contains(base.resolve("data").toString());
  }

  private static LocalServer of(
      List<String> program, Path base, JsonNode run, ProcessHandle process) throws IOException {
    ServerPorts ports =
        new ServerPorts(
            run.path("http").asText(), run.path("bootHttp").asText(), run.path("iscsi").asText());
    String token = Files.readString(base.resolve("data").resolve("admin-token")).strip();
    URI url = URI.create("http://" + ports.http());
    ApiClient api = new ApiClient(new Endpoint(url, token, "default"));
    return new LocalServer(program, base, ports, process, api);
  }

  /** The server's API, as its administrator. */
  public ApiClient api() {
    return api;
  }

  /** The server's own file with its administrator's token. */
  public Path tokenFile() {
    return base.resolve("data").resolve("admin-token");
  }

  /** Where its virtual machines lie. */
  public Path labDirectory() {
    return base.resolve("lab");
  }

  /** The process's number. */
  public long pid() {
    return process.pid();
  }

  /** Ends it as a power cut would: {@code kill -9}. */
  public void kill() {
    process.destroyForcibly();
    awaitEnd();
  }

  /** Asks it to stop and waits; ends it by force when it does not. */
  public void stop() {
    process.destroy();
    try {
      awaitEnd();
    } catch (IllegalStateException e) {
      process.destroyForcibly();
      awaitEnd();
      throw e;
    }
  }

  /** The end of what the server said, for a report. */
  public String logTail() {
    return logTail(base);
  }

  private void awaitEnd() {
    try {
      process.onExit().get(STOP_LIMIT.toSeconds(), TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while the server ended", e);
    } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
      throw new IllegalStateException(
          "the server, process " + pid() + ", did not end within " + STOP_LIMIT, e);
    }
  }

  /** The server writes {@code run.json} when it serves; one of another process is an old one. */
  private static JsonNode awaitRunFile(ProcessHandle process, Path base) throws IOException {
    Path file = base.resolve("data").resolve("run.json");
    long deadlineNanos = System.nanoTime() + START_LIMIT.toNanos();
    while (System.nanoTime() < deadlineNanos) {
      JsonNode run = readIfWhole(file);
      if (run != null && run.path("pid").asLong() == process.pid()) {
        return run;
      }
      if (!process.isAlive()) {
        throw new CommandFailure("the server ended at its start:\n" + logTail(base));
      }
      LockSupport.parkNanos(POLL.toNanos());
    }
    throw new CommandFailure(
        "the server does not serve after " + START_LIMIT.toSeconds() + " s:\n" + logTail(base));
  }

  private static @Nullable JsonNode readIfWhole(Path file) {
    try {
      return Files.exists(file) ? new JsonMapper().readTree(file.toFile()) : null;
    } catch (IOException e) {
      // A stopping server may just have removed it: the next look tells.
      return null;
    }
  }

  private static Path log(Path base) {
    return base.resolve("server.log");
  }

  private static String logTail(Path base) {
    try {
      byte[] all = Files.readAllBytes(log(base));
      int from = (int) Math.max(0, all.length - MAX_LOG_TAIL_BYTES);
      return new String(all, from, all.length - from, StandardCharsets.UTF_8).strip();
    } catch (IOException e) {
      return "(its log " + log(base) + " cannot be read: " + e.getMessage() + ")";
    }
  }
}
