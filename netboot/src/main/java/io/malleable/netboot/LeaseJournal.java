package io.malleable.netboot;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * The leases in a file that only grows, written anew when most of it is outdated.
 *
 * <pre>
 *   file   = header record*
 *   header = "M2LEASES"  version:u32  crc32c of the 12 octets before:u32
 *   record = mac:6  address:4  reserved:2  expiry:u64 (s since 1970)  crc32c of the 20 before:u32
 * </pre>
 *
 * All numbers are big-endian. A later record of a machine replaces an earlier one. A record whose
 * checksum is wrong was cut off by a crash when it is the last; elsewhere the file is corrupt.
 *
 * <p>Durability: a record has been handed to the operating system when {@link #append} returns, so
 * the death of the process loses nothing. The death of the host may lose the last records; the
 * machines then ask for their addresses by name and get them again.
 *
 * <p>Used by one thread at a time.
 */
final class LeaseJournal implements AutoCloseable {
  private static final long MAGIC = 0x4d324c4541534553L; // "M2LEASES"
  private static final int VERSION = 1;
  private static final int HEADER_BYTES = 16;
  private static final int RECORD_BYTES = 24;
  private static final int MAX_RECORDS = 8 << 20;

  /** Outdated records that a file may carry before it is written anew. */
  private static final int MIN_OUTDATED = 4096;

  private final Path file;
  private final Map<MacAddress, Entry> latest = new LinkedHashMap<>();
  private FileChannel channel;
  private int recordCount;

  private LeaseJournal(Path file, FileChannel channel) {
    this.file = file;
    this.channel = channel;
  }

  /**
   * Opens or creates the file.
   *
   * @throws IOException when it is corrupt or of a newer version; says what to do
   */
  static LeaseJournal open(Path file) throws IOException {
    FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
    LeaseJournal journal = new LeaseJournal(file, channel);
    try {
      if (channel.size() < HEADER_BYTES) {
        journal.rewrite(); // new, or cut off while it was created: it never held a lease
      } else {
        journal.load();
      }
    } catch (IOException | RuntimeException e) {
      journal.channel.close();
      throw e;
    }
    return journal;
  }

  /** The latest record of each machine. */
  List<Entry> entries() {
    return new ArrayList<>(latest.values());
  }

  void append(Entry entry) throws IOException {
    ByteBuffer record = ByteBuffer.allocate(RECORD_BYTES);
    put(record, entry);
    record.flip();
    while (record.hasRemaining()) {
      channel.write(record);
    }
    latest.put(entry.mac(), entry);
    recordCount++;
    if (recordCount > 2 * latest.size() + MIN_OUTDATED) {
      rewrite();
    }
  }

  @Override
  public void close() throws IOException {
    try (FileChannel last = channel) {
      last.force(false);
    }
  }

  private void load() throws IOException {
    checkHeader();
    long sizeBytes = channel.size();
    long records = (sizeBytes - HEADER_BYTES) / RECORD_BYTES;
    if (records > MAX_RECORDS) {
      throw new IOException(file + " is too large for a lease file: " + sizeBytes + " bytes");
    }
    ByteBuffer content = ByteBuffer.allocate((int) records * RECORD_BYTES);
    readFully(content, HEADER_BYTES);
    for (int i = 0; i < records; i++) {
      ByteBuffer record = content.slice(i * RECORD_BYTES, RECORD_BYTES);
      if (record.getInt(RECORD_BYTES - 4) != crc(record.slice(0, RECORD_BYTES - 4))) {
        if (i == records - 1) {
          break;
        }
        throw new IOException(
            "%s is corrupt: wrong checksum in record %d of %d; move it away to start without leases"
                .formatted(file, i, records));
      }
      Entry entry = read(record);
      latest.put(entry.mac(), entry);
      recordCount++;
    }
    long validBytes = HEADER_BYTES + (long) recordCount * RECORD_BYTES;
    if (validBytes < sizeBytes) {
      channel.truncate(validBytes);
    }
    channel.position(validBytes);
  }

  private void checkHeader() throws IOException {
    ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES);
    readFully(header, 0);
    if (header.getLong(0) != MAGIC || header.getInt(12) != crc(header.slice(0, 12))) {
      throw new IOException(file + " is not a lease file; move it away to start without leases");
    }
    if (header.getInt(8) != VERSION) {
      throw new IOException(
          "%s has version %d, this program reads version %d; use the program that wrote it"
              .formatted(file, header.getInt(8), VERSION));
    }
  }

  private void readFully(ByteBuffer destination, long offsetBytes) throws IOException {
    while (destination.hasRemaining()) {
      int count = channel.read(destination, offsetBytes + destination.position());
      if (count < 0) {
        throw new IOException(file + " became shorter while it was read");
      }
    }
    destination.flip();
  }

  /** Writes the latest records to a new file and puts it in place of the old one. */
  private void rewrite() throws IOException {
    Path next = file.resolveSibling(file.getFileName() + ".new");
    ByteBuffer content = ByteBuffer.allocate(HEADER_BYTES + latest.size() * RECORD_BYTES);
    content.putLong(MAGIC).putInt(VERSION).putInt(crc(content.slice(0, 12)));
    latest.values().forEach(entry -> put(content, entry));
    content.flip();
    FileChannel written =
        FileChannel.open(
            next,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING);
    try {
      while (content.hasRemaining()) {
        written.write(content);
      }
      written.force(true);
      Files.move(next, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException | RuntimeException e) {
      written.close();
      throw e;
    }
    channel.close();
    channel = written;
    recordCount = latest.size();
  }

  private static void put(ByteBuffer out, Entry entry) {
    int start = out.position();
    out.put(entry.mac().octets())
        .putInt(entry.address().value())
        .putShort((short) 0)
        .putLong(entry.expirySeconds());
    out.putInt(crc(out.slice(start, RECORD_BYTES - 4)));
  }

  private static Entry read(ByteBuffer record) {
    byte[] mac = new byte[6];
    record.get(0, mac);
    return new Entry(MacAddress.of(mac), new Ipv4(record.getInt(6)), record.getLong(12));
  }

  private static int crc(ByteBuffer octets) {
    CRC32C crc = new CRC32C();
    crc.update(octets);
    return (int) crc.getValue();
  }

  /** A machine's address and until when it may use it. */
  record Entry(MacAddress mac, Ipv4 address, long expirySeconds) {}
}
