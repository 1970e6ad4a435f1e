package io.malleable.bench;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * A boot storm: many sessions at once on one server, what each costs, and whether a greedy one
 * starves the others.
 */
@Command(name = "sessions", description = "1,000 sessions: login storm, memory, fairness.")
final class SessionBench implements Callable<Integer> {
  private static final long UNIT_BYTES = 1L << 30;
  private static final int READ_BYTES = 4096;
  private static final int READ_BLOCKS = READ_BYTES / 512;
  private static final int GREEDY_BYTES = 65536;
  private static final int GREEDY_DEPTH = 32;
  private static final int WARM_UP_SESSIONS = 50;

  @Option(
      names = "--sessions",
      defaultValue = "1000",
      description = "sessions at once (default ${DEFAULT-VALUE})")
  int sessions;

  @Option(
      names = "--modest",
      defaultValue = "100",
      description = "sessions that read one block at a time (default ${DEFAULT-VALUE})")
  int modest;

  @Option(
      names = "--seconds",
      defaultValue = "5",
      description = "length of one fairness measurement (default ${DEFAULT-VALUE})")
  int seconds;

  @Option(
      names = "--rounds",
      defaultValue = "3",
      description = "fairness measurements of each kind (default ${DEFAULT-VALUE})")
  int rounds;

  @Option(names = "--out", description = "directory for the table; printed only when absent")
  Path out;

  private InetSocketAddress address = new InetSocketAddress(0);

  @Override
  public Integer call() throws Exception {
    Path log = Files.createTempFile("m2-bench", ".log");
    M2Contender server = M2Contender.start("M2", log, "null", Long.toString(UNIT_BYTES));
    String text;
    try {
      address = new InetSocketAddress(InetAddress.getLoopbackAddress(), server.port());
      text = "# Many sessions\n\n" + Machine.describe() + "\n\n" + storm(server.pid()) + fairness();
    } finally {
      server.stop();
      Files.delete(log);
    }
    System.out.print(text);
    if (out != null) {
      Files.createDirectories(out);
      Files.writeString(out.resolve("sessions.md"), text);
    }
    return 0;
  }

  private String storm(long pid) throws IOException, InterruptedException, ExecutionException {
    close(login(0, WARM_UP_SESSIONS));
    long before = residentBytes(pid);
    long startedNanos = System.nanoTime();
    List<Initiator> initiators = login(WARM_UP_SESSIONS, sessions);
    double elapsed = (System.nanoTime() - startedNanos) / 1e9;
    long after = residentBytes(pid);
    close(initiators);
    return String.format(
        Locale.ROOT,
        "%d logins at once over loopback: %.2f s (wanted: under 10 s for 1,000), all sessions open at the same time.%n%n"
            + "Resident memory of the server's process per idle session: %.0f KiB (wanted: at most 256 KiB); that is heap, stacks and"
            + " buffers together.%n%n",
        sessions,
        elapsed,
        (after - before) / 1024.0 / sessions);
  }

  private List<Initiator> login(int first, int count)
      throws InterruptedException, ExecutionException {
    List<Future<Initiator>> logins = new ArrayList<>();
    try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
      for (int i = 0; i < count; i++) {
        int number = first + i;
        logins.add(
            threads.submit(() -> Initiator.login(address, ServeUnit.IQN, number, READ_BYTES, 1)));
      }
    }
    List<Initiator> initiators = new ArrayList<>();
    for (Future<Initiator> login : logins) {
      initiators.add(login.get());
    }
    return initiators;
  }

  private static void close(List<Initiator> initiators) throws IOException {
    for (Initiator initiator : initiators) {
      initiator.close();
    }
  }

  private static long residentBytes(long pid) throws IOException {
    return Files.readAllLines(Path.of("/proc", Long.toString(pid), "status")).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
        .findFirst()
        .orElseThrow();
  }

  /** With one more modest session, and with a greedy one in its place, interleaved. */
  private String fairness() throws Exception {
    Samples fair = new Samples();
    Samples beside = new Samples();
    for (int round = 0; round <= rounds; round++) {
      double alone = p99Micros(modest + 1, false);
      double withGreedy = p99Micros(modest, true);
      if (round > 0) {
        fair.add(alone);
        beside.add(withGreedy);
      }
    }
    return String.format(
        Locale.ROOT,
        "p99 of random 4k reads of %d sessions at depth 1, in microseconds, median (smallest to largest) of %d rounds of %d s:%n%n"
            + "| beside them | p99 | ratio |%n|---|---|---|%n"
            + "| one more such session (the fair share) | %s | |%n"
            + "| a greedy one, 64k reads at depth %d | %s | **%.2f** (wanted: at most 2) |%n",
        modest,
        rounds,
        seconds,
        TargetReport.format(fair, 0),
        GREEDY_DEPTH,
        TargetReport.format(beside, 0),
        beside.median() / fair.median());
  }

  private double p99Micros(int sessionCount, boolean greedy) throws Exception {
    List<Initiator> initiators = login(0, sessionCount);
    AtomicBoolean stop = new AtomicBoolean();
    List<Future<long[]>> runs = new ArrayList<>();
    try (ExecutorService threads = Executors.newCachedThreadPool()) {
      Future<?> glutton = greedy ? threads.submit(() -> devour(sessionCount, stop)) : null;
      for (Initiator initiator : initiators) {
        runs.add(threads.submit(() -> latencies(initiator, stop)));
      }
      TimeUnit.SECONDS.sleep(seconds);
      stop.set(true);
      if (glutton != null) {
        glutton.get();
      }
    }
    close(initiators);
    List<Long> all = new ArrayList<>();
    for (Future<long[]> run : runs) {
      Arrays.stream(run.get()).forEach(all::add);
    }
    all.sort(null);
    return all.get((int) (all.size() * 0.99)) / 1e3;
  }

  private static long[] latencies(Initiator initiator, AtomicBoolean stop) throws IOException {
    Random random = new Random(System.identityHashCode(initiator));
    long[] nanos = new long[1 << 20];
    int count = 0;
    while (!stop.get() && count < nanos.length) {
      long started = System.nanoTime();
      initiator.queueRead(
          (long) random.nextInt((int) (UNIT_BYTES / READ_BYTES)) * READ_BLOCKS, READ_BLOCKS, 512);
      initiator.send();
      initiator.awaitStatus();
      nanos[count++] = System.nanoTime() - started;
    }
    return Arrays.copyOf(nanos, count);
  }

  private Void devour(int number, AtomicBoolean stop) throws IOException {
    try (Initiator initiator =
        Initiator.login(address, ServeUnit.IQN, number, GREEDY_BYTES, GREEDY_DEPTH)) {
      long lba = 0;
      for (int i = 0; i < GREEDY_DEPTH; i++) {
        initiator.queueRead(lba++ * 128, GREEDY_BYTES / 512, 512);
      }
      initiator.send();
      while (!stop.get()) {
        initiator.awaitStatus();
        initiator.queueRead(lba++ % 16384 * 128, GREEDY_BYTES / 512, 512);
        initiator.send();
      }
    }
    return null;
  }
}
