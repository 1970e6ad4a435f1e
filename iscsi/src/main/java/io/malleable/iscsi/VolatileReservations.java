package io.malleable.iscsi;

import java.io.IOException;
import java.util.Optional;
import java.util.UUID;

/** The store of a server that has none. */
enum VolatileReservations implements ReservationStore {
  INSTANCE;

  @Override
  public Optional<byte[]> load(UUID logicalUnit) {
    return Optional.empty();
  }

  @Override
  public void save(UUID logicalUnit, byte[] content) throws IOException {
    if (content.length > 0) {
      throw new IOException("no reservation store is configured");
    }
  }
}
