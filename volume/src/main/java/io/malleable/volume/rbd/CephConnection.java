package io.malleable.volume.rbd;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.malleable.volume.Capacity;
import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Optional;

/**
 * A connection to a cluster as one of its users. Thread-safe, as librados is.
 *
 * <p>Every call ends: {@code rados_mon_op_timeout} and {@code rados_osd_op_timeout} turn a silent
 * cluster into {@code ETIMEDOUT}.
 */
final class CephConnection implements AutoCloseable {
  private static final long REPORT_PAUSE_MILLIS = 200;

  private final CephLibraries ceph;
  private final Arena arena = Arena.ofShared();
  private final RbdConfig config;
  private final MemorySegment cluster;
  private final MemorySegment ioctx;
  private final String address;

  CephConnection(RbdConfig config) throws IOException {
    this.config = config;
    this.ceph = CephLibraries.get();
    if (!Files.isReadable(config.conf())) {
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "store.rbd.conf: " + config.conf() + " cannot be read; name the cluster's ceph.conf");
    }
    MemorySegment clusterOut = arena.allocate(ADDRESS);
    RbdCluster.check(
        "rados_create2",
        () ->
            (int)
                ceph.radosCreate2.invokeExact(
                    clusterOut,
                    arena.allocateFrom("ceph"),
                    arena.allocateFrom("client." + config.user()),
                    0L));
    cluster = clusterOut.get(ADDRESS, 0);
    boolean connected = false;
    try {
      configure();
      connect();
      ioctx = openPool();
      address = ownAddress();
      connected = true;
    } finally {
      if (!connected) {
        shutdown();
      }
    }
  }

  private void configure() throws IOException {
    RbdCluster.check(
        "rados_conf_read_file",
        () ->
            (int)
                ceph.radosConfReadFile.invokeExact(
                    cluster, arena.allocateFrom(config.conf().toString())));
    String seconds = Long.toString(config.timeout().toSeconds());
    set("client_mount_timeout", seconds);
    set("rados_mon_op_timeout", seconds);
    set("rados_osd_op_timeout", seconds);
    // The cache would acknowledge writes before the cluster has them even without a flush in
    // between; with it off, an ack is
    // an ack and a guest that trusts its write cache less than it should loses nothing.
    set("rbd_cache", "false");
    // A dead process's writes that are still under way may not arrive after ours.
    set("rbd_blocklist_on_break_lock", "true");
  }

  private void set(String option, String value) throws IOException {
    RbdCluster.check(
        "rados_conf_set(" + option + ")",
        () ->
            (int)
                ceph.radosConfSet.invokeExact(
                    cluster, arena.allocateFrom(option), arena.allocateFrom(value)));
  }

  private void connect() throws IOException {
    try {
      RbdCluster.check("rados_connect", () -> (int) ceph.radosConnect.invokeExact(cluster));
    } catch (CephException e) {
      String remedy =
          switch (e.errno()) {
            case CephException.ETIMEDOUT ->
                "no monitor named there answers within "
                    + config.timeout().toSeconds()
                    + " s; check mon_host and the monitors";
            case CephException.ENOENT ->
                "the keyring has no key for client."
                    + config.user()
                    + "; check store.rbd.user and the keyring";
            case CephException.EPERM, CephException.EACCES ->
                "the cluster refuses client."
                    + config.user()
                    + "; check store.rbd.user, its key and its capabilities (profile rbd)";
            default -> "check that file";
          };
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "cannot connect to the Ceph cluster of " + config.conf() + ": " + remedy,
          e);
    }
  }

  private MemorySegment openPool() throws IOException {
    MemorySegment out = arena.allocate(ADDRESS);
    try {
      RbdCluster.check(
          "rados_ioctx_create",
          () ->
              (int)
                  ceph.radosIoctxCreate.invokeExact(
                      cluster, arena.allocateFrom(config.pool()), out));
    } catch (CephException e) {
      throw new VolumeException(
          Reason.UNAVAILABLE,
          "store.rbd.pool: cannot open the pool "
              + config.pool()
              + "; create it with 'ceph osd pool create' and 'rbd pool init', or name another",
          e);
    }
    return out.get(ADDRESS, 0);
  }

  /** The {@code rados_ioctx_t} of the pool. */
  MemorySegment ioctx() {
    return ioctx;
  }

  /**
   * How the cluster names this connection as the holder of a lock: {@code IP:PORT/NONCE}. Every
   * connection has another one.
   */
  String address() {
    return address;
  }

  private String ownAddress() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment out = call.allocate(ADDRESS);
      RbdCluster.check("rados_getaddrs", () -> (int) ceph.radosGetAddrs.invokeExact(cluster, out));
      MemorySegment text = out.get(ADDRESS, 0);
      String own = text.reinterpret(Long.MAX_VALUE).getString(0);
      free(text);
      return own;
    }
  }

  /** Waits, within the timeout, for a cluster that has just started to report what it has. */
  Capacity capacity() throws IOException {
    long deadline = System.nanoTime() + config.timeout().toNanos();
    Capacity reported = reported();
    while (reported.totalBytes() == 0) {
      if (System.nanoTime() - deadline > 0) {
        throw new VolumeException(
            VolumeException.Reason.UNAVAILABLE,
            "the Ceph cluster does not report what space it has; see 'ceph -s'");
      }
      try {
        // The monitors tell nobody when the first report arrives, so there is nothing to wait on.
        Thread.sleep(REPORT_PAUSE_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted while the Ceph cluster was asked for its space", e);
      }
      reported = reported();
    }
    return reported;
  }

  private Capacity reported() throws IOException {
    Optional<Capacity> pool =
        PoolSpace.parse(
            monitorCommand("{\"prefix\": \"df\", \"detail\": \"detail\", \"format\": \"xml\"}"),
            config.pool());
    // One that neither has nor can hold anything was not looked at yet.
    Optional<Capacity> known = pool.filter(capacity -> capacity.totalBytes() > 0);
    return known.isPresent() ? known.get() : wholeCluster();
  }

  /** For the seconds until the manager reports a new pool. */
  private Capacity wholeCluster() throws IOException {
    try (Arena call = Arena.ofConfined()) {
      // struct rados_cluster_stat_t: kb, kb_used, kb_avail, num_objects
      MemorySegment whole = call.allocate(JAVA_LONG, 4);
      RbdCluster.check(
          "rados_cluster_stat", () -> (int) ceph.radosClusterStat.invokeExact(cluster, whole));
      return new Capacity(
          whole.getAtIndex(JAVA_LONG, 0) * 1024, whole.getAtIndex(JAVA_LONG, 2) * 1024, 0);
    }
  }

  private String monitorCommand(String json) throws IOException {
    try (Arena call = Arena.ofConfined()) {
      MemorySegment commands = call.allocateFrom(ADDRESS, call.allocateFrom(json));
      MemorySegment out = call.allocate(ADDRESS);
      MemorySegment outBytes = call.allocate(JAVA_LONG);
      MemorySegment status = call.allocate(ADDRESS);
      MemorySegment statusBytes = call.allocate(JAVA_LONG);
      try {
        RbdCluster.check(
            "rados_mon_command(" + json + ")",
            () ->
                (int)
                    ceph.radosMonCommand.invokeExact(
                        cluster,
                        commands,
                        1L,
                        MemorySegment.NULL,
                        0L,
                        out,
                        outBytes,
                        status,
                        statusBytes));
        byte[] answer =
            out.get(ADDRESS, 0).reinterpret(outBytes.get(JAVA_LONG, 0)).toArray(JAVA_BYTE);
        return new String(answer, StandardCharsets.UTF_8);
      } finally {
        free(out.get(ADDRESS, 0));
        free(status.get(ADDRESS, 0));
      }
    }
  }

  private void free(MemorySegment buffer) {
    RbdCluster.run(() -> {
      ceph.radosBufferFree.invokeExact(buffer);
    });
  }

  /** Whatever uses the connection or its pool must have ended. */
  @Override
  public void close() {
    RbdCluster.run(() -> {
      ceph.radosIoctxDestroy.invokeExact(ioctx);
    });
    shutdown();
  }

  private void shutdown() {
    RbdCluster.run(() -> {
      ceph.radosShutdown.invokeExact(cluster);
    });
    arena.close();
  }
}
