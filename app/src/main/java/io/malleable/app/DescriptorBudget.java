package io.malleable.app;

import java.util.Optional;

/**
 * Who may have how many of the process's descriptors. Each has its own, so that a flood of
 * connections to one listener takes nothing from another, nor from the files of the disks.
 *
 * @param limit of the process
 * @param store open files of the volume store
 * @param iscsi connections
 * @param boot connections
 * @param api connections
 * @param tftp transfers
 */
record DescriptorBudget(int limit, int store, int iscsi, int boot, int api, int tftp) {
  private static final int ISCSI = 4096;
  private static final int BOOT = 4096;
  private static final int API = 2048;
  private static final int TFTP = 1024;
  private static final int LISTENERS = ISCSI + BOOT + API + TFTP;

  /** Enough for a thousand disks that are written; more only saves opening files again. */
  private static final int STORE = 4096;

  private static final int STORE_MOST = 1 << 16;

  /** Jars, the database, logs, child processes, files on their way in and out. */
  private static final int RESERVE = 1024;

  /** What a server has open when nobody talks to it, with some room. */
  private static final int RESERVE_LEAST = 160;

  private static final int RESERVE_PART = 8;

  /** A process that may have this many has all that it can use. */
  static final int ENOUGH = RESERVE + STORE + LISTENERS;

  static DescriptorBudget of(int limit) {
    if (limit >= ENOUGH) {
      int store = Math.min(limit - RESERVE - LISTENERS, STORE_MOST);
      return new DescriptorBudget(limit, store, ISCSI, BOOT, API, TFTP);
    }
    int reserve = Math.clamp(limit / RESERVE_PART, RESERVE_LEAST, RESERVE);
    int shared = Math.max(0, limit - reserve);
    return new DescriptorBudget(
        limit,
        part(shared, STORE),
        part(shared, ISCSI),
        part(shared, BOOT),
        part(shared, API),
        part(shared, TFTP));
  }

  private static int part(int shared, int wanted) {
    return Math.max(1, (int) ((long) shared * wanted / (STORE + LISTENERS)));
  }

  /** What the limit is too low for, and what to do; empty when it is not. */
  Optional<String> shortage() {
    return limit >= ENOUGH
        ? Optional.empty()
        : Optional.of(
            "The limit of %d open files allows only %d iSCSI, %d boot and %d API connections; raise it to %d or more (LimitNOFILE= of the systemd unit, or ulimit -Hn) and restart the server."
                .formatted(limit, iscsi, boot, api, ENOUGH));
  }
}
