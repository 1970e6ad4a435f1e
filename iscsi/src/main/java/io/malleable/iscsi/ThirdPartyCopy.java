package io.malleable.iscsi;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * EXTENDED COPY and RECEIVE COPY RESULTS (SPC-4 5.17, 6.4, 6.20): copies blocks within and between
 * the units of the initiator's own target, which it may access anyway. Stateless; results are kept
 * with the nexus.
 */
final class ThirdPartyCopy {
  static final int PAGE = 0x8f;

  private static final int HEADER_BYTES = 16;
  private static final int TARGET_DESCRIPTOR_BYTES = 32;
  private static final int SEGMENT_DESCRIPTOR_BYTES = 28;
  private static final int IDENTIFICATION_DESCRIPTOR = 0xe4;
  private static final int BLOCK_TO_BLOCK = 0x02;
  private static final int MAX_TARGETS = 8;
  private static final int MAX_SEGMENTS = 8;
  private static final int MAX_LIST_BYTES = 1024;
  private static final int MAX_SEGMENT_BYTES = 32 * 1024 * 1024;
  private static final int BUFFER_BYTES = 256 * 1024;

  private static final SenseData TOO_MANY_TARGETS =
      new SenseData(SenseData.ILLEGAL_REQUEST, 0x2606);
  private static final SenseData UNSUPPORTED_TARGET =
      new SenseData(SenseData.ILLEGAL_REQUEST, 0x2607);
  private static final SenseData TOO_MANY_SEGMENTS =
      new SenseData(SenseData.ILLEGAL_REQUEST, 0x2608);
  private static final SenseData UNSUPPORTED_SEGMENT =
      new SenseData(SenseData.ILLEGAL_REQUEST, 0x2609);
  private static final SenseData UNREACHABLE = new SenseData(SenseData.COPY_ABORTED, 0x0d02);

  private record Segment(
      DeviceServer from, long fromBytes, DeviceServer to, long toBytes, long lengthBytes) {}

  private ThirdPartyCopy() {}

  /** The Third-Party Copy page (SPC-4 7.8.17): commands, limits, descriptors. */
  static byte[] page() {
    ByteBuffer page = ByteBuffer.allocate(20 + 32 + 8);
    page.putShort((short) 0x0001).putShort((short) 16).put((byte) 7);
    page.put((byte) 0x83).put((byte) 1).put((byte) 0x00);
    page.put((byte) 0x84).put((byte) 2).put((byte) 0x00).put((byte) 0x03);
    page.position(20);
    page.putShort((short) 0x0004).putShort((short) 28).putInt(0);
    page.putShort((short) MAX_TARGETS).putShort((short) MAX_SEGMENTS).putInt(MAX_LIST_BYTES);
    page.position(52);
    page.putShort((short) 0x0008).putShort((short) 4).put((byte) 2);
    page.put((byte) BLOCK_TO_BLOCK).put((byte) IDENTIFICATION_DESCRIPTOR);
    return page.array();
  }

  static void prepareCopy(Task task) {
    task.transferBytes = Cdb.u32(task.cdb, 10);
  }

  static void copy(Task task) throws ScsiException, IOException {
    byte[] list = task.parameterList();
    if (list.length == 0) {
      return;
    }
    if (list.length < HEADER_BYTES) {
      throw SenseData.PARAMETER_LIST_LENGTH.asException();
    }
    int targetBytes = Cdb.u16(list, 2);
    long segmentBytes = Cdb.u32(list, 8);
    if (targetBytes + segmentBytes > MAX_LIST_BYTES
        || HEADER_BYTES + targetBytes + segmentBytes > list.length
        || targetBytes % TARGET_DESCRIPTOR_BYTES != 0) {
      throw SenseData.PARAMETER_LIST_LENGTH.asException();
    }
    if (targetBytes > MAX_TARGETS * TARGET_DESCRIPTOR_BYTES) {
      throw TOO_MANY_TARGETS.asException();
    }
    List<DeviceServer> devices = devices(task, list, targetBytes);
    List<Segment> segments =
        segments(task, list, HEADER_BYTES + targetBytes, (int) segmentBytes, devices);
    long copied = 0;
    for (Segment segment : segments) {
      move(task, segment);
      task.changed(segment.to());
      copied += segment.lengthBytes();
    }
    boolean keepsResult = (Cdb.u8(list, 1) & 0x18) == 0;
    if (keepsResult) {
      task.unit().copyResults().put(Cdb.u8(list, 0), status(segments.size(), copied));
    }
  }

  private static List<DeviceServer> devices(Task task, byte[] list, int targetBytes)
      throws ScsiException {
    List<DeviceServer> devices = new ArrayList<>();
    for (int at = HEADER_BYTES; at < HEADER_BYTES + targetBytes; at += TARGET_DESCRIPTOR_BYTES) {
      if (Cdb.u8(list, at) != IDENTIFICATION_DESCRIPTOR) {
        throw UNSUPPORTED_TARGET.asException();
      }
      devices.add(find(task.unit().target(), list, at));
    }
    return devices;
  }

  private static DeviceServer find(Target target, byte[] list, int at) throws ScsiException {
    int length = Math.min(Cdb.u8(list, at + 7), 20);
    byte[] wanted = Arrays.copyOfRange(list, at + 8, at + 8 + length);
    for (DeviceServer device : target.devices()) {
      var id = device.logicalUnit().identity().id();
      if (Arrays.equals(wanted, InquiryData.naa(id))
          || Arrays.equals(wanted, InquiryData.eui64(id))) {
        return device;
      }
    }
    throw UNREACHABLE.asException();
  }

  private static List<Segment> segments(
      Task task, byte[] list, int from, int segmentBytes, List<DeviceServer> devices)
      throws ScsiException {
    List<Segment> segments = new ArrayList<>();
    int at = from;
    while (at < from + segmentBytes) {
      if (segments.size() == MAX_SEGMENTS) {
        throw TOO_MANY_SEGMENTS.asException();
      }
      if (Cdb.u8(list, at) != BLOCK_TO_BLOCK) {
        throw UNSUPPORTED_SEGMENT.asException();
      }
      if (at + SEGMENT_DESCRIPTOR_BYTES > from + segmentBytes) {
        throw SenseData.PARAMETER_LIST_LENGTH.asException();
      }
      segments.add(segment(task, list, at, devices));
      at += SEGMENT_DESCRIPTOR_BYTES;
    }
    return segments;
  }

  private static Segment segment(Task task, byte[] list, int at, List<DeviceServer> devices)
      throws ScsiException {
    int sourceIndex = Cdb.u16(list, at + 4);
    int destinationIndex = Cdb.u16(list, at + 6);
    if (sourceIndex >= devices.size() || destinationIndex >= devices.size()) {
      throw UNREACHABLE.asException();
    }
    DeviceServer source = devices.get(sourceIndex);
    DeviceServer destination = devices.get(destinationIndex);
    // DC: the count is in blocks of the destination.
    boolean countsDestination = Cdb.bit(list, at + 1, 0x02);
    long blocks = Cdb.u16(list, at + 10);
    long length = blocks << (countsDestination ? destination : source).blockShift();
    long sourceLba = Cdb.u64(list, at + 12);
    long destinationLba = Cdb.u64(list, at + 20);
    Nexus nexus = task.unit().nexus();
    boolean allowed =
        !source.reservations().conflicts(nexus, CommandSpec.ReservationAccess.READ)
            && !destination.reservations().conflicts(nexus, CommandSpec.ReservationAccess.WRITE);
    if (!allowed
        || !covers(source, sourceLba, length)
        || !covers(destination, destinationLba, length)) {
      throw UNREACHABLE.asException();
    }
    destination.requireWritable();
    return new Segment(
        source,
        sourceLba << source.blockShift(),
        destination,
        destinationLba << destination.blockShift(),
        length);
  }

  private static boolean covers(DeviceServer device, long lba, long lengthBytes) {
    boolean whole = lengthBytes % device.blockSizeBytes() == 0;
    long blocks = lengthBytes >>> device.blockShift();
    long count = device.blockCount();
    return whole && lba >= 0 && lba <= count && blocks <= count - lba;
  }

  private static void move(Task task, Segment segment) throws ScsiException, IOException {
    // A reset of the unit that was asked to copy must wait for what the copy does to the others.
    List<DeviceServer> involved =
        Stream.of(task.device(), segment.from(), segment.to())
            .distinct()
            .sorted(DeviceServer.LOCK_ORDER)
            .toList();
    ByteBuffer buffer = ByteBuffer.allocate(BUFFER_BYTES);
    long done = 0;
    while (done < segment.lengthBytes()) {
      buffer.clear().limit((int) Math.min(BUFFER_BYTES, segment.lengthBytes() - done));
      movePiece(task, segment, done, buffer, involved);
      done += buffer.limit();
    }
  }

  /** Enters one unit after the other, then does the piece. */
  private static void movePiece(
      Task task, Segment segment, long doneBytes, ByteBuffer buffer, List<DeviceServer> toEnter)
      throws ScsiException, IOException {
    if (toEnter.isEmpty()) {
      BlockCommands.fill(segment.from(), segment.fromBytes() + doneBytes, buffer);
      BlockCommands.drain(segment.to(), segment.toBytes() + doneBytes, buffer.flip());
      return;
    }
    DeviceServer next = toEnter.getFirst();
    long stamp = next.enterShared(task);
    try {
      movePiece(task, segment, doneBytes, buffer, toEnter.subList(1, toEnter.size()));
    } finally {
      next.access().unlockRead(stamp);
    }
  }

  private static byte[] status(int segments, long bytes) {
    ByteBuffer status = ByteBuffer.allocate(12).putInt(8);
    // Completed without errors; the count is in KiB.
    status.put((byte) 0x01).putShort((short) segments).put((byte) 0x01);
    return status.putInt((int) (bytes / 1024)).array();
  }

  static void copyStatus(Task task) throws ScsiException {
    task.transferBytes = Cdb.u32(task.cdb, 10);
    byte[] status = task.unit().copyResults().remove(Cdb.u8(task.cdb, 2));
    if (status == null) {
      throw SenseData.invalidFieldInCdb(2).asException();
    }
    task.reply(status);
  }

  static void operatingParameters(Task task) {
    task.transferBytes = Cdb.u32(task.cdb, 10);
    ByteBuffer reply = ByteBuffer.allocate(46);
    reply.putInt(0, reply.capacity() - 4).put(4, (byte) 0x01);
    reply.putShort(8, (short) MAX_TARGETS).putShort(10, (short) MAX_SEGMENTS);
    reply.putInt(12, MAX_LIST_BYTES).putInt(16, MAX_SEGMENT_BYTES);
    reply.putShort(34, (short) 1).put(36, (byte) 1).put(37, (byte) 9);
    reply.put(43, (byte) 2).put(44, (byte) BLOCK_TO_BLOCK);
    reply.put(45, (byte) IDENTIFICATION_DESCRIPTOR);
    task.reply(reply.array());
  }
}
