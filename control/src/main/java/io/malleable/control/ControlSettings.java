package io.malleable.control;

import java.time.Duration;

/**
 * What an operator may want to choose.
 *
 * @param trashRetention how long a deleted disk can be brought back
 * @param operationRetention how long finished operations are kept
 * @param eventsKept how many events are kept
 * @param bootsKept how many boots are kept per node
 * @param deadlines how long a boot may take from stage to stage
 * @param storePatience how long somebody who only wants to see something waits for an answer of the
 *     store
 */
public record ControlSettings(
    Duration trashRetention,
    Duration operationRetention,
    int eventsKept,
    int bootsKept,
    BootDeadlines deadlines,
    Duration storePatience) {
  public static ControlSettings defaults() {
    return of(BootDeadlines.Dhcp.ELSEWHERE);
  }

  /** The usual ones for a server with this part in DHCP. */
  public static ControlSettings of(BootDeadlines.Dhcp dhcp) {
    return new ControlSettings(
        Duration.ofDays(7),
        Duration.ofDays(30),
        50_000,
        20,
        new BootDeadlines(dhcp),
        Duration.ofSeconds(5));
  }

  /** The same with another time for the trash. */
  public ControlSettings withTrashRetention(Duration retention) {
    return new ControlSettings(
        retention, operationRetention, eventsKept, bootsKept, deadlines, storePatience);
  }

  /** The same with another patience. */
  public ControlSettings withStorePatience(Duration patience) {
    return new ControlSettings(
        trashRetention, operationRetention, eventsKept, bootsKept, deadlines, patience);
  }
}
