package io.malleable.iscsi;

import java.nio.ByteBuffer;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

/** A thin logical unit in memory: chunks that were never written read as zeroes. */
final class MemoryUnit implements LogicalUnit {
  private static final int CHUNK_BYTES = 4096;

  private final LogicalUnitIdentity identity;
  private final int blockSizeBytes;
  private final ConcurrentHashMap<Long, byte[]> chunks = new ConcurrentHashMap<>();
  private volatile long sizeBytes;
  private volatile int concurrency = 1;

  MemoryUnit(UUID id, long sizeBytes, int blockSizeBytes) {
    this.identity = new LogicalUnitIdentity(id, "M2", "MEMORY", "1");
    this.sizeBytes = sizeBytes;
    this.blockSizeBytes = blockSizeBytes;
  }

  MemoryUnit(long sizeBytes) {
    this(UUID.randomUUID(), sizeBytes, 512);
  }

  MemoryUnit concurrency(int commands) {
    concurrency = commands;
    return this;
  }

  void grow(long newSizeBytes) {
    sizeBytes = newSizeBytes;
  }

  @Override
  public LogicalUnitIdentity identity() {
    return identity;
  }

  @Override
  public int blockSizeBytes() {
    return blockSizeBytes;
  }

  @Override
  public long sizeBytes() {
    return sizeBytes;
  }

  @Override
  public boolean readOnly() {
    return false;
  }

  @Override
  public int atomicWriteBytes() {
    // Nothing survives a crash, so nothing survives in part; the library keeps writers apart.
    return 1 << 20;
  }

  @Override
  public int concurrency() {
    return concurrency;
  }

  @Override
  public void read(long offsetBytes, ByteBuffer destination) {
    long at = offsetBytes;
    while (destination.hasRemaining()) {
      int within = (int) (at % CHUNK_BYTES);
      int length = Math.min(CHUNK_BYTES - within, destination.remaining());
      byte[] chunk = chunks.get(at / CHUNK_BYTES);
      if (chunk == null) {
        destination.put(new byte[length]);
      } else {
        synchronized (chunk) {
          destination.put(chunk, within, length);
        }
      }
      at += length;
    }
  }

  @Override
  public void write(long offsetBytes, ByteBuffer source) {
    long at = offsetBytes;
    while (source.hasRemaining()) {
      int within = (int) (at % CHUNK_BYTES);
      int length = Math.min(CHUNK_BYTES - within, source.remaining());
      byte[] chunk = chunks.computeIfAbsent(at / CHUNK_BYTES, ignored -> new byte[CHUNK_BYTES]);
      synchronized (chunk) {
        source.get(chunk, within, length);
      }
      at += length;
    }
  }

  @Override
  public void flush() {}

  @Override
  public void unmap(long offsetBytes, long lengthBytes) {
    long at = offsetBytes;
    long end = offsetBytes + lengthBytes;
    while (at < end) {
      int within = (int) (at % CHUNK_BYTES);
      int length = (int) Math.min(CHUNK_BYTES - within, end - at);
      if (length == CHUNK_BYTES) {
        chunks.remove(at / CHUNK_BYTES);
      } else if (chunks.containsKey(at / CHUNK_BYTES)) {
        write(at, ByteBuffer.allocate(length));
      }
      at += length;
    }
  }

  @Override
  public void writeZeroes(long offsetBytes, long lengthBytes) {
    for (long at = offsetBytes; at < offsetBytes + lengthBytes; at += blockSizeBytes) {
      write(at, ByteBuffer.allocate(blockSizeBytes));
    }
  }

  @Override
  public Extent extentAt(long offsetBytes) {
    boolean mapped = chunks.containsKey(offsetBytes / CHUNK_BYTES);
    long end = offsetBytes - offsetBytes % CHUNK_BYTES + CHUNK_BYTES;
    while (end < sizeBytes && chunks.containsKey(end / CHUNK_BYTES) == mapped) {
      end += CHUNK_BYTES;
    }
    return new Extent(mapped, Math.min(end, sizeBytes) - offsetBytes);
  }
}
