package io.malleable.volume.imagefile;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.util.BitSet;

/**
 * Where everything is in a qcow2 file (version 3, QEMU's {@code docs/interop/qcow2.txt}) that is
 * written from its first byte to its last:
 *
 * <pre>
 * header | refcount table | refcount blocks | L1 table | L2 tables | data clusters
 * </pre>
 *
 * <p>Every part begins at a cluster; every cluster of the file is in use once, so that each
 * reference count is one. Only those L2 tables exist that point to data, and data is in the order
 * of the volume.
 */
final class Qcow2Layout {
  private static final int MAGIC = 0x514649fb;
  private static final int VERSION = 3;
  private static final int HEADER_BYTES = 104;
  private static final int ENTRY_BYTES = 8;

  /** Width of a reference count in bits, as a power of two. */
  private static final int REFCOUNT_ORDER = 4;

  private static final int REFCOUNT_BYTES = (1 << REFCOUNT_ORDER) / 8;

  /** In L1 and L2 entries: the reference count of what it points to is exactly one. */
  private static final long COPIED = 1L << 63;

  private static final int LEAST_CLUSTER_BITS = 16;

  /** What a {@link BitSet} of 64 MiB can tell. */
  private static final int MOST_CLUSTERS_BITS = 29;

  private final long sizeBytes;
  private final int clusterBits;
  private final BitSet data;
  private final long dataClusters;
  private final int l1Entries;
  private final BitSet l2Tables = new BitSet();
  private final long refcountTableClusters;
  private final long refcountBlocks;
  private final long totalClusters;

  /**
   * Lays out a file.
   *
   * @param data the clusters of the volume that have content
   */
  Qcow2Layout(long sizeBytes, int clusterBits, BitSet data) {
    this.sizeBytes = sizeBytes;
    this.clusterBits = clusterBits;
    this.data = data;
    this.dataClusters = data.cardinality();
    int perTable = clusterBytes() / ENTRY_BYTES;
    this.l1Entries = (int) divideUp(divideUp(sizeBytes, clusterBytes()), perTable);
    for (int c = data.nextSetBit(0); c >= 0; c = nextTable(c, perTable)) {
      l2Tables.set(c / perTable);
    }
    long counted = 1 + l1Clusters() + l2Tables.cardinality() + dataClusters;
    long blocks = 0;
    long table = 0;
    long total = counted;
    // The counts count themselves as well.
    while (blocks < divideUp(total, clusterBytes() / REFCOUNT_BYTES)) {
      blocks = divideUp(total, clusterBytes() / REFCOUNT_BYTES);
      table = divideUp(blocks * ENTRY_BYTES, clusterBytes());
      total = counted + blocks + table;
    }
    this.refcountBlocks = blocks;
    this.refcountTableClusters = table;
    this.totalClusters = total;
  }

  private int nextTable(int cluster, int perTable) {
    return data.nextSetBit((cluster / perTable + 1) * perTable);
  }

  /** 64 KiB, as everybody has it; larger for volumes beyond 32 TiB. */
  static int clusterBits(long sizeBytes) {
    int bitsOfSize = Long.SIZE - Long.numberOfLeadingZeros(sizeBytes - 1);
    return Math.max(LEAST_CLUSTER_BITS, bitsOfSize - MOST_CLUSTERS_BITS);
  }

  private static long divideUp(long dividend, long divisor) {
    return (dividend + divisor - 1) / divisor;
  }

  private int clusterBytes() {
    return 1 << clusterBits;
  }

  private long l1Clusters() {
    return divideUp((long) l1Entries * ENTRY_BYTES, clusterBytes());
  }

  long fileBytes() {
    return totalClusters << clusterBits;
  }

  /** The first position with content at or behind this one; the end of the volume when none is. */
  long nextData(long positionBytes) {
    int cluster = data.nextSetBit((int) (positionBytes >>> clusterBits));
    return cluster < 0 ? sizeBytes : (long) cluster << clusterBits;
  }

  /** The end of the run of content that the position is in: the end of a cluster. */
  long nextHole(long positionBytes) {
    return (long) data.nextClearBit((int) (positionBytes >>> clusterBits)) << clusterBits;
  }

  /** All but the data clusters. */
  void writeTables(OutputStream out) throws IOException {
    Clusters clusters = new Clusters(out, clusterBytes());
    long refcountTable = 1;
    long blocks = refcountTable + refcountTableClusters;
    long l1 = blocks + refcountBlocks;
    long l2 = l1 + l1Clusters();
    header(clusters, l1, refcountTable);
    for (long block = 0; block < refcountBlocks; block++) {
      clusters.putLong((blocks + block) << clusterBits);
    }
    clusters.fill();
    for (long cluster = 0; cluster < totalClusters; cluster++) {
      clusters.putShort((short) 1);
    }
    clusters.fill();
    long next = l2;
    for (int table = 0; table < l1Entries; table++) {
      clusters.putLong(l2Tables.get(table) ? next++ << clusterBits | COPIED : 0);
    }
    clusters.fill();
    int perTable = clusterBytes() / ENTRY_BYTES;
    for (int table = l2Tables.nextSetBit(0); table >= 0; table = l2Tables.nextSetBit(table + 1)) {
      for (int entry = 0; entry < perTable; entry++) {
        boolean there = data.get(table * perTable + entry);
        clusters.putLong(there ? next++ << clusterBits | COPIED : 0);
      }
    }
  }

  private void header(Clusters clusters, long l1, long refcountTable) throws IOException {
    clusters.putInt(MAGIC);
    clusters.putInt(VERSION);
    clusters.putLong(0); // no backing file
    clusters.putInt(0);
    clusters.putInt(clusterBits);
    clusters.putLong(sizeBytes);
    clusters.putInt(0); // not encrypted
    clusters.putInt(l1Entries);
    clusters.putLong(l1 << clusterBits);
    clusters.putLong(refcountTable << clusterBits);
    clusters.putInt((int) refcountTableClusters);
    clusters.putInt(0); // no snapshots
    clusters.putLong(0);
    clusters.putLong(0); // features: incompatible, compatible, cleared by who does not know them
    clusters.putLong(0);
    clusters.putLong(0);
    clusters.putInt(REFCOUNT_ORDER);
    clusters.putInt(HEADER_BYTES);
    clusters.fill(); // a header extension of type 0 ends the list of them
  }

  /** Gathers big-endian numbers to whole clusters. */
  private static final class Clusters {
    private final OutputStream out;
    private final ByteBuffer cluster;

    Clusters(OutputStream out, int clusterBytes) {
      this.out = out;
      this.cluster = ByteBuffer.allocate(clusterBytes);
    }

    void putShort(short value) throws IOException {
      cluster.putShort(value);
      passOn();
    }

    void putInt(int value) throws IOException {
      cluster.putInt(value);
      passOn();
    }

    void putLong(long value) throws IOException {
      cluster.putLong(value);
      passOn();
    }

    private void passOn() throws IOException {
      if (!cluster.hasRemaining()) {
        out.write(cluster.array());
        cluster.clear();
      }
    }

    /** The rest of a cluster that was begun is zeroes. */
    void fill() throws IOException {
      if (cluster.position() > 0) {
        while (cluster.hasRemaining()) {
          cluster.put((byte) 0);
        }
        passOn();
      }
    }
  }
}
