package io.malleable.iscsi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.OutOfSpaceException.Scope;
import io.malleable.iscsi.SpaceRefusal.Answer;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

class FullStoreTest {
  private static final byte[] CDB = {0x2a, 1};
  private static final byte[] OTHER_CDB = {0x2a, 2};
  private static final UUID UNIT = new UUID(1, 2);

  private final OutOfSpaceException full = new OutOfSpaceException(Scope.STORE, "no room");
  private final AtomicLong nowNanos = new AtomicLong(-5);

  private void pass(long seconds) {
    nowNanos.addAndGet(TimeUnit.SECONDS.toNanos(seconds));
  }

  @Test
  void theTimeCountsFromTheFirstRefusalWhateverComesBetween() {
    FullStore store = new FullStore(Duration.ofSeconds(30), nowNanos::get);
    for (int i = 0; i < 30; i++) {
      assertTrue(store.holdsBack(CDB, full));
      pass(1);
    }
    for (int i = 0; i < 300; i++) {
      assertFalse(store.holdsBack(CDB, full));
      pass(1);
    }
  }

  @Test
  void aStoreThatIsFullAnotherTimeHoldsBackAgain() {
    FullStore store = new FullStore(Duration.ofSeconds(30), nowNanos::get);
    assertTrue(store.holdsBack(CDB, full));
    pass(30);
    assertFalse(store.holdsBack(CDB, full));
    pass(60);
    assertFalse(store.holdsBack(CDB, full), "still the same time");
    pass(61);
    assertTrue(store.holdsBack(CDB, full));
  }

  @Test
  void withoutATimeNothingIsHeldBack() {
    assertFalse(new FullStore(Duration.ZERO, nowNanos::get).holdsBack(CDB, full));
  }

  @Test
  void noTimeIsLongerThanInitiatorsBear() {
    IscsiServerConfig config = IscsiServerConfig.of(List.of());
    assertThrows(
        IllegalArgumentException.class, () -> config.withStoreFullBusy(Duration.ofSeconds(151)));
    assertThrows(
        IllegalArgumentException.class, () -> config.withStoreFullBusy(Duration.ofSeconds(-1)));
  }

  private static SpaceRefusal refusal(Answer answer, long seconds, String reason) {
    return new SpaceRefusal("t", UNIT, answer, Duration.ofSeconds(seconds), reason);
  }

  @Test
  void itShowsWhatIsHeldAndThenRefusedUntilTheSameWriteIsDone() {
    FullStore store = new FullStore(Duration.ofSeconds(30), nowNanos::get);
    assertEquals(Optional.empty(), store.refusal("t", UNIT));
    store.holdsBack(OTHER_CDB, full);
    pass(10);
    store.holdsBack(CDB, full);
    assertEquals(Optional.of(refusal(Answer.HELD, 10, "no room")), store.refusal("t", UNIT));
    pass(20);
    assertEquals(Optional.of(refusal(Answer.STORE_FULL, 30, "no room")), store.refusal("t", UNIT));
    store.onDone(OTHER_CDB);
    assertTrue(store.refusal("t", UNIT).isPresent(), "it may have needed no room");
    store.onDone(CDB);
    assertEquals(Optional.empty(), store.refusal("t", UNIT));
    pass(5);
    assertFalse(store.holdsBack(CDB, full), "room that comes in drops makes nobody wait longer");
    assertEquals(Optional.of(refusal(Answer.STORE_FULL, 0, "no room")), store.refusal("t", UNIT));
  }

  @Test
  void whoeverGivesUpIsForgottenAfterAMinute() {
    FullStore store = new FullStore(Duration.ofSeconds(30), nowNanos::get);
    store.holdsBack(CDB, full);
    pass(60);
    assertTrue(store.refusal("t", UNIT).isPresent());
    pass(1);
    assertEquals(Optional.empty(), store.refusal("t", UNIT));
  }

  @Test
  void aUnitThatTakesNoMoreIsNotWaitedFor() {
    FullStore store = new FullStore(Duration.ofSeconds(30), nowNanos::get);
    assertFalse(store.holdsBack(CDB, new OutOfSpaceException(Scope.UNIT, "too many pieces")));
    assertEquals(
        Optional.of(refusal(Answer.UNIT_FULL, 0, "too many pieces")), store.refusal("t", UNIT));
    assertTrue(store.holdsBack(CDB, full), "a full store is another matter");
  }
}
