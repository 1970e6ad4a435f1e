package io.malleable.iscsi;

import java.io.IOException;
import java.util.Optional;
import java.util.UUID;

/**
 * Keeps persistent reservations over a restart where an initiator asked for it (APTPL, SPC-4
 * 5.13.6). The content is opaque, versioned and checksummed by this library. Calls for one logical
 * unit do not overlap.
 */
public interface ReservationStore {
  /** What was saved last; empty when nothing was, or when it was removed. */
  Optional<byte[]> load(UUID logicalUnit) throws IOException;

  /** Durable when it returns; an empty array removes what was saved. */
  void save(UUID logicalUnit, byte[] content) throws IOException;

  /** Forgets everything with the process: APTPL is then refused. */
  static ReservationStore none() {
    return VolatileReservations.INSTANCE;
  }
}
