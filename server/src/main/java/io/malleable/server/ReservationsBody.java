package io.malleable.server;

import io.malleable.control.Targets;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** The persistent reservations on a disk, on the wire. */
record ReservationsBody(
    @Nullable String type,
    @Nullable String scope,
    boolean persistent,
    List<Registrant> registrants) {
  /** A reservation is always of the whole drive (SPC-4 6.16.3.2). */
  private static final String LOGICAL_UNIT = "logical-unit";

  static final ReservationsBody NONE = new ReservationsBody(null, null, false, List.of());

  /** The key in hexadecimal digits, as the tools of initiators write it. */
  record Registrant(String initiator, String port, String key, boolean holder) {}

  static ReservationsBody of(Targets.Reservations reservations) {
    return new ReservationsBody(
        reservations.type().orElse(null),
        reservations.type().map(_ -> LOGICAL_UNIT).orElse(null),
        reservations.persistent(),
        reservations.registrants().stream().map(ReservationsBody::registrant).toList());
  }

  private static Registrant registrant(Targets.Registrant registrant) {
    return new Registrant(
        registrant.initiator(),
        registrant.port(),
        "0x" + HexFormat.of().toHexDigits(registrant.key()),
        registrant.holder());
  }
}
