package io.malleable.iscsi;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;

/**
 * Mode parameters of one logical unit (SPC-4 7.5, SBC-3 6.4), shared by all its nexuses. D_SENSE
 * and SWP of the Control page can be changed; nothing can be saved.
 */
final class ModePages {
  static final int ALL_PAGES = 0x3f;
  private static final int ERROR_RECOVERY = 0x01;
  private static final int CACHING = 0x08;
  private static final int CONTROL = 0x0a;
  private static final int INFORMATIONAL_EXCEPTIONS = 0x1c;
  private static final int[] PAGES = {ERROR_RECOVERY, CACHING, CONTROL, INFORMATIONAL_EXCEPTIONS};

  private static final int D_SENSE = 0x04;
  private static final int SWP = 0x08;
  private static final int DPOFUA = 0x10;
  private static final int WRITE_PROTECTED = 0x80;

  /** Page control (SPC-4 table 168). */
  private static final int CHANGEABLE = 1;

  private static final int SAVED = 3;

  private static final int WCE = 0x04;

  private final boolean readOnly;
  private final boolean writeCache;
  private volatile boolean descriptorSense;
  private volatile boolean softwareWriteProtect;

  ModePages(LogicalUnit logicalUnit) {
    this.readOnly = logicalUnit.readOnly();
    this.writeCache = logicalUnit.writeCache();
  }

  boolean writeCache() {
    return writeCache;
  }

  boolean descriptorSense() {
    return descriptorSense;
  }

  boolean softwareWriteProtect() {
    return softwareWriteProtect;
  }

  /** Back to the defaults, as a reset demands. */
  void reset() {
    descriptorSense = false;
    softwareWriteProtect = false;
  }

  void sense6(Task task) throws ScsiException {
    byte[] pages = pages(task);
    boolean withoutDescriptor = Cdb.bit(task.cdb, 1, 0x08);
    byte[] descriptor = withoutDescriptor ? new byte[0] : shortDescriptor(task.device());
    ByteBuffer reply = ByteBuffer.allocate(4 + descriptor.length + pages.length);
    reply.put((byte) Math.min(255, reply.capacity() - 1));
    reply.put((byte) 0).put((byte) deviceSpecific()).put((byte) descriptor.length);
    task.reply(reply.put(descriptor).put(pages).array());
  }

  void sense10(Task task) throws ScsiException {
    byte[] pages = pages(task);
    boolean withoutDescriptor = Cdb.bit(task.cdb, 1, 0x08);
    boolean longLbas = Cdb.bit(task.cdb, 1, 0x10);
    byte[] descriptor =
        withoutDescriptor
            ? new byte[0]
            : longLbas ? longDescriptor(task.device()) : shortDescriptor(task.device());
    ByteBuffer reply = ByteBuffer.allocate(8 + descriptor.length + pages.length);
    reply.putShort((short) (reply.capacity() - 2));
    reply.put((byte) 0).put((byte) deviceSpecific());
    reply.put((byte) (longLbas && !withoutDescriptor ? 1 : 0)).put((byte) 0);
    reply.putShort((short) descriptor.length);
    task.reply(reply.put(descriptor).put(pages).array());
  }

  private int deviceSpecific() {
    return (readOnly || softwareWriteProtect ? WRITE_PROTECTED : 0) | DPOFUA;
  }

  private static byte[] shortDescriptor(DeviceServer device) {
    ByteBuffer descriptor = ByteBuffer.allocate(8);
    descriptor.putInt((int) Math.min(device.blockCount(), 0xffffffffL));
    descriptor.putInt(device.blockSizeBytes());
    return descriptor.array();
  }

  private static byte[] longDescriptor(DeviceServer device) {
    ByteBuffer descriptor = ByteBuffer.allocate(16);
    descriptor.putLong(device.blockCount()).putInt(0).putInt(device.blockSizeBytes());
    return descriptor.array();
  }

  private byte[] pages(Task task) throws ScsiException {
    int control = Cdb.u8(task.cdb, 2) >> 6;
    int wanted = Cdb.u8(task.cdb, 2) & 0x3f;
    int subpage = Cdb.u8(task.cdb, 3);
    if (control == SAVED) {
      throw new SenseData(SenseData.ILLEGAL_REQUEST, 0x3900).asException();
    }
    if (subpage != 0 && !(wanted == ALL_PAGES && subpage == 0xff)) {
      throw SenseData.invalidFieldInCdb(3).asException();
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int page : PAGES) {
      if (wanted == page || wanted == ALL_PAGES) {
        out.writeBytes(page(page, control));
      }
    }
    if (out.size() == 0) {
      throw SenseData.invalidFieldInCdb(2).asException();
    }
    return out.toByteArray();
  }

  private byte[] page(int code, int control) {
    int length = code == CACHING ? 20 : 12;
    byte[] page = new byte[length];
    page[0] = (byte) code;
    page[1] = (byte) (length - 2);
    if (control == CHANGEABLE) {
      if (code == CONTROL) {
        page[2] = D_SENSE;
        page[4] = SWP;
      }
      return page;
    }
    switch (code) {
      // With a cache a write is durable when SYNCHRONIZE CACHE or FUA is answered, not before.
      case CACHING -> page[2] = (byte) (writeCache ? WCE : 0);
      case CONTROL -> {
        if (control == 0) {
          page[2] = (byte) (descriptorSense ? D_SENSE : 0);
          page[4] = (byte) (softwareWriteProtect ? SWP : 0);
        }
        // QUEUE ALGORITHM MODIFIER 1: commands may be reordered.
        page[3] = 0x10;
      }
      default -> {}
    }
    return page;
  }

  /**
   * MODE SELECT (SPC-4 6.9, 6.10).
   *
   * @param headerBytes 4 for the six-byte command, 8 for the ten-byte one
   */
  void select(Task task, int headerBytes) throws ScsiException {
    byte[] list = task.parameterList();
    if (list.length == 0) {
      return;
    }
    if (Cdb.bit(task.cdb, 1, 0x01)) {
      throw SenseData.invalidFieldInCdb(1).asException();
    }
    if (list.length < headerBytes) {
      throw SenseData.PARAMETER_LIST_LENGTH.asException();
    }
    int descriptorBytes = headerBytes == 4 ? Cdb.u8(list, 3) : Cdb.u16(list, 6);
    int at = headerBytes + descriptorBytes;
    if (at > list.length) {
      throw SenseData.PARAMETER_LIST_LENGTH.asException();
    }
    boolean sense = descriptorSense;
    boolean protect = softwareWriteProtect;
    while (at < list.length) {
      requireUnchanged(list, at);
      if ((list[at] & 0x3f) == CONTROL) {
        sense = Cdb.bit(list, at + 2, D_SENSE);
        protect = Cdb.bit(list, at + 4, SWP);
      }
      at += 2 + Cdb.u8(list, at + 1);
    }
    boolean changed = sense != descriptorSense || protect != softwareWriteProtect;
    descriptorSense = sense;
    softwareWriteProtect = protect;
    if (changed) {
      task.device().raiseForOthers(UnitAttention.MODE_PARAMETERS_CHANGED, task.unit());
    }
  }

  /** A page may differ from what it is only in changeable bits. */
  private void requireUnchanged(byte[] list, int at) throws ScsiException {
    int code = list[at] & 0x3f;
    boolean known = false;
    for (int page : PAGES) {
      known |= page == code;
    }
    if (!known || Cdb.bit(list, at, 0x40)) {
      throw SenseData.invalidFieldInParameterList(at).asException();
    }
    byte[] current = page(code, 0);
    byte[] changeable = page(code, CHANGEABLE);
    if (at + current.length > list.length) {
      throw SenseData.PARAMETER_LIST_LENGTH.asException();
    }
    if (list[at + 1] != current[1]) {
      throw SenseData.invalidFieldInParameterList(at + 1).asException();
    }
    for (int i = 2; i < current.length; i++) {
      if ((list[at + i] & ~changeable[i]) != (current[i] & ~changeable[i])) {
        throw SenseData.invalidFieldInParameterList(at + i).asException();
      }
    }
  }
}
