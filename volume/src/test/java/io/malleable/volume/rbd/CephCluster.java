package io.malleable.volume.rbd;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/** A real one-node cluster on loopback, started and stopped by {@code script/ceph-cluster}. */
public final class CephCluster {
  private final Path directory;

  private CephCluster(Path directory) {
    this.directory = directory;
  }

  public static CephCluster start() throws IOException, InterruptedException {
    // Ceph's admin sockets live here, and the path of a socket is limited to 107 bytes.
    CephCluster cluster = new CephCluster(Files.createTempDirectory(Path.of("/tmp"), "m2-ceph"));
    cluster.script("start");
    return cluster;
  }

  Path conf() {
    return directory.resolve("ceph.conf");
  }

  RbdConfig config(UUID instance) {
    return config("m2", instance);
  }

  private RbdConfig config(String pool, UUID instance) {
    return new RbdConfig(conf(), "m2", pool, Duration.ofSeconds(10), instance);
  }

  /** A store in an empty pool of its own. */
  public RbdConfig emptyPool() throws IOException, InterruptedException {
    String pool = "m2-" + UUID.randomUUID();
    ceph("osd", "pool", "create", pool, "1");
    rbd("pool", "init", pool);
    return config(pool, UUID.randomUUID());
  }

  long pid(String role) throws IOException {
    return Long.parseLong(Files.readString(directory.resolve(role + ".pid")).strip());
  }

  /**
   * Sends a signal to a daemon of this cluster. A stop takes effect in each thread by itself, so it
   * is waited for: one thread may still answer after the call.
   */
  void signal(String role, String signal) throws IOException, InterruptedException {
    run(List.of("kill", "-" + signal, Long.toString(pid(role))));
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (signal.equals("STOP") && !stopped(pid(role))) {
      if (System.nanoTime() > deadline) {
        throw new IOException(role + " does not stop");
      }
      Thread.onSpinWait();
    }
  }

  private static boolean stopped(long pid) throws IOException {
    try (var threads = Files.list(Path.of("/proc", Long.toString(pid), "task"))) {
      for (Path thread : threads.toList()) {
        if (!Files.readString(thread.resolve("status")).contains("State:\tT")) {
          return false;
        }
      }
      return true;
    }
  }

  /** Runs {@code ceph} as the administrator. */
  String ceph(String... arguments) throws IOException, InterruptedException {
    List<String> command =
        new ArrayList<>(List.of("ceph", "-c", conf().toString(), "--connect-timeout", "10"));
    command.addAll(List.of(arguments));
    return run(command);
  }

  /** Runs {@code rbd} as the administrator. */
  String rbd(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("rbd", "-c", conf().toString()));
    command.addAll(List.of(arguments));
    return run(command);
  }

  /** Another user of the cluster with these capabilities, in the cluster's keyring. */
  void addUser(String name, String... capabilities) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of("auth", "get-or-create", "client." + name));
    command.addAll(List.of(capabilities));
    Files.writeString(
        directory.resolve("keyring"),
        ceph(command.toArray(String[]::new)),
        StandardOpenOption.APPEND);
  }

  private void script(String action) throws IOException, InterruptedException {
    run(List.of("../script/ceph-cluster", action, directory.toString()));
  }

  private static String run(List<String> command) throws IOException, InterruptedException {
    Path output = Files.createTempFile("m2-ceph", ".out");
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start();
      if (!process.waitFor(120, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        throw new IOException(command + " did not end within 120 s: " + Files.readString(output));
      }
      if (process.exitValue() != 0) {
        throw new IOException(command + " failed: " + Files.readString(output));
      }
      return Files.readString(output);
    } finally {
      Files.delete(output);
    }
  }

  public void stop() throws IOException, InterruptedException {
    script("stop");
    try (var paths = Files.walk(directory)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
