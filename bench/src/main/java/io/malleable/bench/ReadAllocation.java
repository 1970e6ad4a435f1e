package io.malleable.bench;

import io.malleable.iscsi.Access;
import io.malleable.iscsi.IscsiServer;
import io.malleable.iscsi.IscsiServerConfig;
import io.malleable.iscsi.LogicalUnit;
import io.malleable.iscsi.Portal;
import io.malleable.iscsi.ReservationStore;
import io.malleable.iscsi.TargetDefinition;
import io.malleable.iscsi.TargetListener;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What one 4k read allocates, target and initiator together, in one JVM over loopback: {@code
 * script/bench allocation} runs it with JMH's gc profiler, which counts the allocations of all
 * threads.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
@SuppressWarnings("NullAway.Init") // JMH calls start() before anything else
public class ReadAllocation {
  private static final int DEPTH = 32;
  private static final int BLOCKS = 8;
  private static final int UNIT_BLOCKS = 1 << 20;

  private IscsiServer server;
  private Initiator initiator;
  private long lba;

  /** Starts the target and logs in. */
  @Setup
  public void start() throws IOException {
    LogicalUnit unit = new NullUnit((long) UNIT_BLOCKS * 512);
    Portal portal = new Portal(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 1);
    server =
        new IscsiServer(
            IscsiServerConfig.of(List.of(portal)),
            ReservationStore.none(),
            new TargetListener() {});
    server.define(new TargetDefinition(ServeUnit.IQN, Map.of(0, unit), Access.open()));
    InetSocketAddress address = server.open().getFirst().address();
    initiator = Initiator.login(address, ServeUnit.IQN, 1, BLOCKS * 512, DEPTH);
  }

  /** Logs out by closing the connection, and stops the target. */
  @TearDown
  public void stop() throws IOException {
    initiator.close();
    server.close();
  }

  /** A batch of reads, as a deep queue sends them. */
  @Benchmark
  @OperationsPerInvocation(DEPTH)
  public void readBatch() throws IOException {
    for (int i = 0; i < DEPTH; i++) {
      initiator.queueRead(lba, BLOCKS, 512);
      lba = (lba + 7919 * BLOCKS) % (UNIT_BLOCKS - BLOCKS);
    }
    initiator.send();
    for (int i = 0; i < DEPTH; i++) {
      initiator.awaitStatus();
    }
  }
}
