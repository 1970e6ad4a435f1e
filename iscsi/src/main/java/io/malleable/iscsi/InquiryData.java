package io.malleable.iscsi;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.UUID;

/** INQUIRY and its vital product data pages (SPC-4 6.6, 7.8; SBC-3 6.6). Stateless. */
final class InquiryData {
  private static final int SUPPORTED_PAGES = 0x00;
  private static final int UNIT_SERIAL_NUMBER = 0x80;
  private static final int DEVICE_IDENTIFICATION = 0x83;
  private static final int EXTENDED_INQUIRY = 0x86;
  private static final int SCSI_PORTS = 0x88;
  private static final int BLOCK_LIMITS = 0xb0;
  private static final int BLOCK_DEVICE_CHARACTERISTICS = 0xb1;
  private static final int LOGICAL_BLOCK_PROVISIONING = 0xb2;

  private static final int STANDARD_BYTES = 74;

  /** Linux reads ahead and merges up to this. */
  private static final int OPTIMAL_TRANSFER_BYTES = 256 * 1024;

  private InquiryData() {}

  static void inquire(Task task) throws ScsiException {
    task.transferBytes = Cdb.u16(task.cdb, 3);
    boolean vitalProductData = Cdb.bit(task.cdb, 1, 0x01);
    int page = Cdb.u8(task.cdb, 2);
    if ((Cdb.u8(task.cdb, 1) & 0xfe) != 0) {
      throw SenseData.invalidFieldInCdb(1).asException();
    }
    if (!vitalProductData && page != 0) {
      throw SenseData.invalidFieldInCdb(2).asException();
    }
    task.reply(vitalProductData ? page(task, page) : standard(task.unit()));
  }

  /** Peripheral qualifier 011b: there could be a unit at this LUN, but there is none. */
  static byte[] standardOfMissingUnit() {
    byte[] data = new byte[36];
    data[0] = 0x7f;
    data[2] = 0x06;
    data[3] = 0x12;
    data[4] = 31;
    return data;
  }

  private static byte[] standard(NexusUnit unit) {
    LogicalUnitIdentity identity = unit.device().logicalUnit().identity();
    ByteBuffer data = ByteBuffer.allocate(STANDARD_BYTES);
    // Version 6: SPC-4. HISUP, response data format 2.
    data.put(2, (byte) 0x06).put(3, (byte) 0x12).put(4, (byte) (STANDARD_BYTES - 5));
    // TPGS: implicit asymmetric access. 3PC: copies. MULTIP: more than one port. CMDQUE.
    data.put(5, (byte) 0x18);
    data.put(6, (byte) (unit.target().portGroups().size() > 1 ? 0x10 : 0));
    data.put(7, (byte) 0x02);
    data.put(8, ascii(identity.vendor(), 8));
    data.put(16, ascii(identity.product(), 16));
    data.put(32, ascii(identity.revision(), 4));
    // Version descriptors: SAM-5, iSCSI, SPC-4, SBC-3.
    data.putShort(58, (short) 0x00a0).putShort(60, (short) 0x0960);
    data.putShort(62, (short) 0x0460).putShort(64, (short) 0x04c0);
    return data.array();
  }

  private static byte[] ascii(String text, int lengthBytes) {
    byte[] padded = new byte[lengthBytes];
    for (int i = 0; i < lengthBytes; i++) {
      char c = i < text.length() ? text.charAt(i) : ' ';
      padded[i] = (byte) (c >= 0x20 && c < 0x7f ? c : '?');
    }
    return padded;
  }

  private static byte[] page(Task task, int code) throws ScsiException {
    NexusUnit unit = task.unit();
    byte[] body =
        switch (code) {
          case SUPPORTED_PAGES -> supportedPages();
          case UNIT_SERIAL_NUMBER -> serial(unit.device()).getBytes(StandardCharsets.US_ASCII);
          case DEVICE_IDENTIFICATION -> deviceIdentification(unit);
          case EXTENDED_INQUIRY -> extendedInquiry();
          case SCSI_PORTS -> ports(unit.target());
          case ThirdPartyCopy.PAGE -> ThirdPartyCopy.page();
          case BLOCK_LIMITS -> blockLimits(unit.device());
          case BLOCK_DEVICE_CHARACTERISTICS -> {
            byte[] page = new byte[60];
            // Medium rotation rate 1: not rotating.
            page[1] = 0x01;
            yield page;
          }
          case LOGICAL_BLOCK_PROVISIONING -> provisioning(unit.device());
          default -> throw SenseData.invalidFieldInCdb(2).asException();
        };
    ByteBuffer page = ByteBuffer.allocate(4 + body.length);
    page.put((byte) 0).put((byte) code).putShort((short) body.length).put(body);
    return page.array();
  }

  private static byte[] supportedPages() {
    return new byte[] {
      (byte) SUPPORTED_PAGES,
      (byte) UNIT_SERIAL_NUMBER,
      (byte) DEVICE_IDENTIFICATION,
      (byte) EXTENDED_INQUIRY,
      (byte) SCSI_PORTS,
      (byte) ThirdPartyCopy.PAGE,
      (byte) BLOCK_LIMITS,
      (byte) BLOCK_DEVICE_CHARACTERISTICS,
      (byte) LOGICAL_BLOCK_PROVISIONING
    };
  }

  static String serial(DeviceServer device) {
    return device.logicalUnit().identity().id().toString();
  }

  private static byte[] extendedInquiry() {
    byte[] page = new byte[60];
    // SIMPSUP, ORDSUP, HEADSUP: all task attributes are accepted.
    page[1] = 0x07;
    // LUICLR: unit attentions for LUN changes are cleared per I_T nexus.
    page[3] = 0x01;
    return page;
  }

  private static byte[] deviceIdentification(NexusUnit unit) {
    LogicalUnitIdentity identity = unit.device().logicalUnit().identity();
    int port = unit.nexus().relativeTargetPort();
    byte[] t10 =
        concat(
            ascii(identity.vendor(), 8),
            identity.id().toString().getBytes(StandardCharsets.US_ASCII));
    byte[] portName = paddedUtf8(portName(unit.target().name(), port));
    // Association 0 is the unit, 1 the target port, 2 the target device; 0x5n is iSCSI with PIV.
    return concat(
        designator(0x01, 0x03, naa(identity.id())),
        designator(0x01, 0x02, eui64(identity.id())),
        designator(0x02, 0x01, t10),
        designator(0x51, 0x94, new byte[] {0, 0, (byte) (port >> 8), (byte) port}),
        designator(0x51, 0x95, new byte[] {0, 0, (byte) (port >> 8), (byte) port}),
        designator(0x53, 0x98, portName),
        designator(0x53, 0xa8, paddedUtf8(unit.target().name())));
  }

  static byte[] naaDesignator(UUID id) {
    return designator(0x01, 0x03, naa(id));
  }

  private static byte[] designator(int protocolAndCodeSet, int associationAndType, byte[] value) {
    return concat(
        new byte[] {(byte) protocolAndCodeSet, (byte) associationAndType, 0, (byte) value.length},
        value);
  }

  static String portName(String targetName, int portGroupTag) {
    return targetName + ",t,0x" + HexFormat.of().toHexDigits(portGroupTag, 4);
  }

  /** SPC-4 7.8.6.11: ended by a zero byte, padded to a multiple of four. */
  private static byte[] paddedUtf8(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    return Arrays.copyOf(bytes, Bhs.padded(bytes.length + 1));
  }

  /**
   * NAA 3h, locally assigned (SPC-4 7.8.6.6.4): 60 bits of a digest of the identity, because we own
   * no IEEE company identifier.
   */
  static byte[] naa(UUID id) {
    byte[] name = digest("naa", id);
    name[0] = (byte) (0x30 | (name[0] & 0x0f));
    return name;
  }

  /** EUI-64 with the bit of local administration set and the group bit clear. */
  static byte[] eui64(UUID id) {
    byte[] name = digest("eui", id);
    name[0] = (byte) ((name[0] & 0xfc) | 0x02);
    return name;
  }

  private static byte[] digest(String purpose, UUID id) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      byte[] text = (purpose + ":" + id).getBytes(StandardCharsets.US_ASCII);
      return Arrays.copyOf(digest.digest(text), 8);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private static byte[] ports(Target target) {
    byte[][] descriptors = new byte[target.portGroups().size()][];
    int i = 0;
    for (int tag : target.portGroups()) {
      byte[] name = designator(0x53, 0x98, paddedUtf8(portName(target.name(), tag)));
      ByteBuffer descriptor = ByteBuffer.allocate(12 + name.length);
      descriptor.putShort(2, (short) tag).putShort(10, (short) name.length).put(12, name);
      descriptors[i++] = descriptor.array();
    }
    return concat(descriptors);
  }

  private static byte[] blockLimits(DeviceServer device) {
    int blockSize = device.blockSizeBytes();
    int granularity = device.logicalUnit().provisioningGranularityBytes() / blockSize;
    ByteBuffer page = ByteBuffer.allocate(60);
    // Offsets are the standard's less four. WSNZ: WRITE SAME of zero blocks is refused.
    page.put(0, (byte) 0x01);
    page.put(1, (byte) BlockCommands.maxCompareAndWriteBlocks(blockSize));
    page.putShort(2, (short) granularity);
    page.putInt(4, (int) (DeviceServer.MAX_TRANSFER_BYTES / blockSize));
    page.putInt(8, OPTIMAL_TRANSFER_BYTES / blockSize);
    if (device.thin()) {
      page.putInt(16, (int) ProvisioningCommands.maxUnmapBlocks(blockSize));
      page.putInt(20, ProvisioningCommands.MAX_UNMAP_DESCRIPTORS);
      page.putInt(24, granularity);
      // UGAVALID, alignment 0.
      page.putInt(28, 0x80000000);
    }
    page.putLong(32, ProvisioningCommands.maxWriteSameBlocks(blockSize));
    page.putInt(40, (int) (BlockCommands.maxAtomicBytes(device) / blockSize));
    return page.array();
  }

  private static byte[] provisioning(DeviceServer device) {
    byte[] page = new byte[4];
    if (device.thin()) {
      // LBPU, LBPWS, LBPWS10, LBPRZ; thin provisioned.
      page[1] = (byte) 0xe4;
      page[2] = 0x02;
    }
    return page;
  }

  static byte[] concat(byte[]... parts) {
    int length = 0;
    for (byte[] part : parts) {
      length += part.length;
    }
    ByteBuffer all = ByteBuffer.allocate(length);
    for (byte[] part : parts) {
      all.put(part);
    }
    return all.array();
  }
}
