package io.malleable.iscsi;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The persistent reservations of one unit, for people (SPC-4 5.13).
 *
 * @param type of the reservation, such as {@code write-exclusive}; absent when there is none
 * @param persistent whether they outlive a restart of the server (APTPL)
 * @param registrants in the order in which they registered
 */
public record ReservationReport(
    Optional<String> type, boolean persistent, List<Registrant> registrants) {
  private static final Map<Integer, String> TYPES =
      Map.of(
          ReservationState.WRITE_EXCLUSIVE, "write-exclusive",
          ReservationState.EXCLUSIVE_ACCESS, "exclusive-access",
          ReservationState.WRITE_EXCLUSIVE_REGISTRANTS_ONLY, "write-exclusive-registrants-only",
          ReservationState.EXCLUSIVE_ACCESS_REGISTRANTS_ONLY, "exclusive-access-registrants-only",
          ReservationState.WRITE_EXCLUSIVE_ALL_REGISTRANTS, "write-exclusive-all-registrants",
          ReservationState.EXCLUSIVE_ACCESS_ALL_REGISTRANTS, "exclusive-access-all-registrants");

  public ReservationReport {
    registrants = List.copyOf(registrants);
  }

  /**
   * An initiator port that has registered a key.
   *
   * @param isid 48 bits, by which an initiator tells its ports apart
   * @param relativeTargetPort through which it came; the portal group tag
   * @param holder whether the reservation is its own
   */
  public record Registrant(
      String initiator, long isid, int relativeTargetPort, long key, boolean holder) {}

  static ReservationReport of(ReservationState state) {
    List<Registrant> registrants =
        state.keys().entrySet().stream()
            .map(entry -> registrant(state, entry.getKey(), entry.getValue()))
            .toList();
    return new ReservationReport(
        Optional.ofNullable(TYPES.get(state.type())), state.persistThroughPowerLoss(), registrants);
  }

  private static Registrant registrant(ReservationState state, Nexus nexus, long key) {
    return new Registrant(
        nexus.initiatorName(), nexus.isid(), nexus.relativeTargetPort(), key, state.heldBy(nexus));
  }
}
