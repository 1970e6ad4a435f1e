package io.malleable.iscsi;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Registrations and the reservation of one logical unit, as a value.
 *
 * <p>Saved form, big endian:
 *
 * <pre>
 * u32 magic "M2PR" | u16 version = 1 | u8 type | u8 0 | u16 holder index, or 0xffff | u16 count
 * count x { u64 key | u64 isid | u16 relative target port | u16 length | name, UTF-8 }
 * u32 CRC32C of all before it
 * </pre>
 *
 * @param generation PRGENERATION (SPC-4 6.15.2); not kept over a restart
 * @param type reservation type (SPC-4 table 200), or {@link #NO_RESERVATION}
 * @param holder who made the reservation; for the all-registrants types every registrant holds it
 * @param persistThroughPowerLoss APTPL as set by the last registration
 */
record ReservationState(
    int generation,
    Map<Nexus, Long> keys,
    int type,
    @Nullable Nexus holder,
    boolean persistThroughPowerLoss) {
  static final int NO_RESERVATION = 0;
  static final int WRITE_EXCLUSIVE = 1;
  static final int EXCLUSIVE_ACCESS = 3;
  static final int WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5;
  static final int EXCLUSIVE_ACCESS_REGISTRANTS_ONLY = 6;
  static final int WRITE_EXCLUSIVE_ALL_REGISTRANTS = 7;
  static final int EXCLUSIVE_ACCESS_ALL_REGISTRANTS = 8;

  static final ReservationState EMPTY =
      new ReservationState(0, Map.of(), NO_RESERVATION, null, false);

  private static final int MAGIC = 0x4d325052;
  private static final int VERSION = 1;
  private static final int NO_HOLDER = 0xffff;

  ReservationState {
    // Keeps the order of registration, in which READ KEYS reports.
    keys = Collections.unmodifiableMap(new LinkedHashMap<>(keys));
  }

  boolean registered(Nexus nexus) {
    return keys.containsKey(nexus);
  }

  boolean allRegistrants() {
    return type == WRITE_EXCLUSIVE_ALL_REGISTRANTS || type == EXCLUSIVE_ACCESS_ALL_REGISTRANTS;
  }

  boolean registrantsShare() {
    return type >= WRITE_EXCLUSIVE_REGISTRANTS_ONLY;
  }

  boolean exclusiveAccess() {
    return type == EXCLUSIVE_ACCESS
        || type == EXCLUSIVE_ACCESS_REGISTRANTS_ONLY
        || type == EXCLUSIVE_ACCESS_ALL_REGISTRANTS;
  }

  boolean heldBy(Nexus nexus) {
    return type != NO_RESERVATION && (allRegistrants() ? registered(nexus) : nexus.equals(holder));
  }

  ReservationState withKeys(Map<Nexus, Long> changed) {
    return new ReservationState(generation, changed, type, holder, persistThroughPowerLoss);
  }

  ReservationState withReservation(int newType, @Nullable Nexus newHolder) {
    return new ReservationState(generation, keys, newType, newHolder, persistThroughPowerLoss);
  }

  ReservationState withPersistence(boolean persist) {
    return new ReservationState(generation, keys, type, holder, persist);
  }

  ReservationState nextGeneration() {
    return new ReservationState(generation + 1, keys, type, holder, persistThroughPowerLoss);
  }

  byte[] encode() {
    int length = 16;
    for (Nexus nexus : keys.keySet()) {
      length += 20 + nexus.initiatorName().getBytes(StandardCharsets.UTF_8).length;
    }
    ByteBuffer out = ByteBuffer.allocate(length);
    out.putInt(MAGIC).putShort((short) VERSION).put((byte) type).put((byte) 0);
    int holderIndex = NO_HOLDER;
    int index = 0;
    for (Nexus nexus : keys.keySet()) {
      if (nexus.equals(holder)) {
        holderIndex = index;
      }
      index++;
    }
    out.putShort((short) holderIndex).putShort((short) keys.size());
    keys.forEach((nexus, key) -> {
      byte[] name = nexus.initiatorName().getBytes(StandardCharsets.UTF_8);
      out.putLong(key).putLong(nexus.isid()).putShort((short) nexus.relativeTargetPort());
      out.putShort((short) name.length).put(name);
    });
    CRC32C crc = new CRC32C();
    crc.update(out.array(), 0, length - 4);
    return out.putInt((int) crc.getValue()).array();
  }

  static ReservationState decode(byte[] content) throws IOException {
    ByteBuffer in = ByteBuffer.wrap(content);
    try {
      if (in.getInt() != MAGIC) {
        throw new IOException("saved reservations are corrupt: wrong magic number");
      }
      int version = in.getShort();
      if (version != VERSION) {
        throw new IOException(
            "saved reservations have version " + version + ", this program knows " + VERSION);
      }
      CRC32C crc = new CRC32C();
      crc.update(content, 0, content.length - 4);
      if (in.getInt(content.length - 4) != (int) crc.getValue()) {
        throw new IOException("saved reservations are corrupt: checksum does not match");
      }
      int type = in.get();
      in.get();
      int holderIndex = in.getShort() & 0xffff;
      int count = in.getShort() & 0xffff;
      Map<Nexus, Long> keys = new LinkedHashMap<>();
      Nexus holder = null;
      for (int i = 0; i < count; i++) {
        long key = in.getLong();
        long isid = in.getLong();
        int port = in.getShort() & 0xffff;
        byte[] name = new byte[in.getShort() & 0xffff];
        in.get(name);
        Nexus nexus = new Nexus(new String(name, StandardCharsets.UTF_8), isid, port);
        keys.put(nexus, key);
        if (i == holderIndex) {
          holder = nexus;
        }
      }
      return new ReservationState(0, keys, type, holder, true);
    } catch (BufferUnderflowException | IndexOutOfBoundsException e) {
      throw new IOException("saved reservations are corrupt: cut off at " + content.length, e);
    }
  }
}
