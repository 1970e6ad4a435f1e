package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.malleable.iscsi.SpaceRefusal;
import io.malleable.iscsi.SpaceRefusal.Answer;
import io.malleable.server.ServerFacts.StoreFullFacts;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** What is told of a store that is full, and of a disk that takes no more. */
final class FullStoreWatchTest {
  private static final Instant START = Instant.parse("2026-11-28T12:00:00Z");
  private static final UUID DISK = new UUID(0, 1);

  private final List<String> events = new ArrayList<>();
  private List<SpaceRefusal> refusals = List.of();
  private Instant now = START;
  private boolean databaseFails;

  private final FullStoreWatch watch = watch(Duration.ofSeconds(30));

  private FullStoreWatch watch(Duration busy) {
    return new FullStoreWatch(
        () -> refusals,
        busy,
        new FullStoreWatch.Reports() {
          @Override
          public void store(String kind, String message) {
            write(kind + ": " + message);
          }

          @Override
          public void disk(UUID disk, String kind, String message) {
            write(disk + " " + kind + ": " + message);
          }
        },
        () -> now);
  }

  private void write(String event) {
    if (databaseFails) {
      throw new IllegalStateException("the database is locked");
    }
    events.add(event);
  }

  private void pass(long seconds) {
    now = now.plusSeconds(seconds);
  }

  private static SpaceRefusal refusal(Answer answer, long lastingSeconds) {
    Duration lasting = Duration.ofSeconds(lastingSeconds);
    return new SpaceRefusal("iqn", DISK, answer, lasting, "too many pieces");
  }

  private void look(Answer... answers) {
    refusals = List.of(answers).stream().map(answer -> refusal(answer, 1)).toList();
    watch.look();
  }

  @Test
  void aStoreThatFillsUpIsToldOnceUntilItTakesWritesAgain() {
    look();
    assertEquals(List.of(), events);
    look(Answer.HELD);
    pass(10);
    look(Answer.HELD, Answer.STORE_FULL);
    pass(10);
    look(Answer.STORE_FULL);
    assertEquals(1, events.size(), events::toString);
    assertTrue(
        events.getFirst().startsWith("store.full: ")
            && events.getFirst().contains("held for 30 s and then refused"),
        events::toString);
    look();
    assertEquals(2, events.size(), events::toString);
    assertTrue(events.getLast().startsWith("store.writable: "), events::toString);
  }

  @Test
  void oneThatIsFullAndNotFullInTurnDoesNotFillTheEvents() {
    for (int second = 0; second < 40; second++) {
      if (second % 2 == 0) {
        look(Answer.HELD);
      } else {
        look();
      }
      pass(1);
    }
    assertTrue(events.size() <= 4, events::toString);
    look();
    pass(10);
    look();
    assertTrue(events.getLast().startsWith("store.writable: "), "the end is told all the same");
  }

  @Test
  void anEventThatCannotBeWrittenIsWrittenLater() {
    databaseFails = true;
    assertThrows(IllegalStateException.class, () -> look(Answer.HELD));
    assertThrows(IllegalStateException.class, () -> look(Answer.UNIT_FULL));
    databaseFails = false;
    look(Answer.HELD, Answer.UNIT_FULL);
    assertEquals(2, events.size(), events::toString);
  }

  @Test
  void aStoreWithoutATimeToWaitSaysSo() {
    refusals = List.of(refusal(Answer.STORE_FULL, 0));
    watch(Duration.ZERO).look();
    assertTrue(events.getFirst().contains("more space are refused"), events::toString);
  }

  @Test
  void aDiskThatTakesNoMoreIsNoFullStoreAndIsToldOfOnceAnHour() {
    for (int minute = 0; minute < 61; minute++) {
      look(Answer.UNIT_FULL);
      look();
      pass(60);
    }
    String event = DISK + " disk.fragmented: refuses writes: too many pieces.";
    assertEquals(List.of(event, event), events);
  }

  @Test
  void factsCountDisksAndTakeTheFirstRefusal() {
    assertEquals(
        Optional.of(new StoreFullFacts(START.minusSeconds(40), 2, 1)),
        FullStoreWatch.facts(
            List.of(
                refusal(Answer.HELD, 3),
                refusal(Answer.STORE_FULL, 40),
                refusal(Answer.HELD, 20),
                refusal(Answer.UNIT_FULL, 90)),
            START));
    assertEquals(
        Optional.empty(), FullStoreWatch.facts(List.of(refusal(Answer.UNIT_FULL, 9)), START));
  }
}
