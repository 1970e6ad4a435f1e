package io.malleable.app;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

/** A real {@code m2 serve} on free ports of 127.0.0.1, which a test may kill. */
final class ServeProcess implements AutoCloseable {
  private static final long START_DEADLINE_NANOS = TimeUnit.MINUTES.toNanos(2);

  private final Path data;
  private final Path log;

  /** What servers before this one have written there. */
  private final long logStart;

  private final Process process;

  private ServeProcess(Path data, Path log, long logStart, Process process) {
    this.data = data;
    this.log = log;
    this.logStart = logStart;
    this.process = process;
  }

  /**
   * Starts the server and waits until it is ready.
   *
   * @param more further flags, such as a port that it had before
   */
  static ServeProcess start(Path data, Map<String, String> environment, String... more)
      throws IOException, InterruptedException {
    ServeProcess server = launch(data, environment, more);
    server.awaitReady();
    return server;
  }

  /**
   * Starts the server with a limit on its descriptors.
   *
   * @param limit {@code SOFT:HARD}, see prlimit(1)
   */
  static ServeProcess startWithin(
      String limit, Path data, Map<String, String> environment, String... more)
      throws IOException, InterruptedException {
    ServeProcess server = launch(List.of("prlimit", "--nofile=" + limit), data, environment, more);
    server.awaitReady();
    return server;
  }

  static ServeProcess launch(Path data, Map<String, String> environment, String... more)
      throws IOException {
    return launch(List.of(), data, environment, more);
  }

  private static ServeProcess launch(
      List<String> starter, Path data, Map<String, String> environment, String... more)
      throws IOException {
    List<String> command = new ArrayList<>(starter);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of("--enable-native-access=ALL-UNNAMED", "-XX:TieredStopAtLevel=1", "-Xmx512m"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path", "")));
    command.addAll(List.of(Main.class.getName(), "serve", "--data", data.toString()));
    List<String> given = List.of(more);
    for (String flag : List.of("--http", "--boot-http", "--iscsi")) {
      if (!given.contains(flag)) {
        command.addAll(List.of(flag, "127.0.0.1:0"));
      }
    }
    command.addAll(given);
    Files.createDirectories(data);
    Path log = data.resolve("test-serve.log");
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().putAll(environment);
    builder.redirectErrorStream(true);
    builder.redirectOutput(ProcessBuilder.Redirect.appendTo(new File(log.toString())));
    long logStart = Files.exists(log) ? Files.size(log) : 0;
    return new ServeProcess(data, log, logStart, builder.start());
  }

  /** What it says of where it listens. */
  JsonNode run() throws IOException {
    return TestApi.JSON.readTree(data.resolve("run.json").toFile());
  }

  TestApi api() throws IOException, InterruptedException {
    return new TestApi(
        "http://" + run().path("http").asText(),
        Files.readString(data.resolve("admin-token")).strip());
  }

  /** Changes the limit on its descriptors while it runs. */
  void limit(String limit) throws IOException, InterruptedException {
    Programs.run(List.of("prlimit", "--pid", Long.toString(process.pid()), "--nofile=" + limit));
  }

  /** What each of its threads has taken of the processors, in ticks, by the thread's name. */
  Map<String, Long> cpuTicks() throws IOException {
    Map<String, Long> ticks = new HashMap<>();
    try (Stream<Path> threads = Files.list(Path.of("/proc", process.pid() + "", "task"))) {
      for (Path thread : threads.toList()) {
        String stat;
        try {
          stat = Files.readString(thread.resolve("stat"));
        } catch (NoSuchFileException ended) {
          continue;
        }
        // proc(5): the name is in brackets, utime and stime are the 14th and 15th field.
        int end = stat.lastIndexOf(')');
        String[] fields = stat.substring(end + 2).split(" ", -1);
        long used = Long.parseLong(fields[11]) + Long.parseLong(fields[12]);
        ticks.merge(stat.substring(stat.indexOf('(') + 1, end), used, Long::sum);
      }
    }
    return ticks;
  }

  /** A number that the kernel knows of it, in its own unit: see proc_pid_status(5). */
  long status(String field) throws IOException {
    return Files.readAllLines(Path.of("/proc", process.pid() + "", "status")).stream()
        .filter(line -> line.startsWith(field + ":"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
        .findFirst()
        .orElseThrow();
  }

  /** Whether it ends within that time. */
  boolean awaitEnd(Duration limit) throws InterruptedException {
    return process.waitFor(limit);
  }

  boolean isAlive() {
    return process.isAlive();
  }

  int awaitExit() throws InterruptedException {
    if (!process.waitFor(2, TimeUnit.MINUTES)) {
      throw new AssertionError("the server did not end");
    }
    return process.exitValue();
  }

  String log() {
    try {
      return Files.readString(log);
    } catch (IOException e) {
      return "no log: " + e;
    }
  }

  private String ownLog() throws IOException {
    byte[] all = Files.readAllBytes(log);
    int start = Math.toIntExact(logStart);
    return new String(all, start, all.length - start, StandardCharsets.UTF_8);
  }

  /** As a power cut does it. */
  void kill() throws InterruptedException {
    process.destroyForcibly();
    awaitExit();
  }

  /** As an operator does it. */
  int stop() throws InterruptedException {
    process.destroy();
    return awaitExit();
  }

  @Override
  public void close() {
    process.destroyForcibly().onExit().join();
  }

  private void awaitReady() throws IOException, InterruptedException {
    long deadline = System.nanoTime() + START_DEADLINE_NANOS;
    Path run = data.resolve("run.json");
    while (true) {
      // It says that it is ready a moment after its run file is there.
      if (Files.exists(run)
          && run().path("pid").asLong() == process.pid()
          && ownLog().contains("m2 status")) {
        return;
      }
      if (!process.isAlive() || System.nanoTime() > deadline) {
        process.destroyForcibly();
        throw new AssertionError("the server did not start:\n" + log());
      }
      process.waitFor(20, TimeUnit.MILLISECONDS);
    }
  }
}
