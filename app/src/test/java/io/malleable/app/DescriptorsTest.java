package io.malleable.app;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** Who may have how many descriptors, and who is told when they become scarce. */
final class DescriptorsTest {
  @Test
  void allBudgetsTogetherStayBelowEveryLimit() {
    for (int limit = 256; limit < 1 << 21; limit += 1 + limit / 7) {
      DescriptorBudget budget = DescriptorBudget.of(limit);
      long all =
          (long) budget.store() + budget.iscsi() + budget.boot() + budget.api() + budget.tftp();
      assertTrue(all < limit, budget::toString);
      assertEquals(limit < DescriptorBudget.ENOUGH, budget.shortage().isPresent());
      assertTrue(budget.iscsi() >= 4 && budget.store() >= 4, budget::toString);
    }
  }

  @Test
  void aHighLimitLeavesEveryListenerWhatItCanUseAndTheRestToTheStore() {
    DescriptorBudget least = DescriptorBudget.of(DescriptorBudget.ENOUGH);
    assertEquals(4096, least.iscsi());
    assertEquals(4096, least.boot());
    assertEquals(2048, least.api());
    assertEquals(4096, least.store());
    DescriptorBudget more = DescriptorBudget.of(1 << 20);
    assertEquals(least.iscsi(), more.iscsi());
    assertTrue(more.store() > 10 * least.store(), more::toString);
    assertTrue(DescriptorBudget.of(1).store() >= 1);
  }

  @Test
  void aScarcityIsReportedOnceUntilItIsOver() {
    AtomicInteger open = new AtomicInteger();
    List<String> events = new ArrayList<>();
    DescriptorWatch watch =
        new DescriptorWatch(open::get, 1000, (kind, message) -> events.add(kind));
    for (int number : new int[] {0, 700, 800, 809}) {
      open.set(number);
      watch.look();
    }
    assertEquals(List.of(), events);
    for (int number : new int[] {810, 1000, 790, 820, 700}) {
      open.set(number);
      watch.look();
    }
    assertEquals(List.of("descriptors.scarce"), events);
    for (int number : new int[] {699, 500, 800}) {
      open.set(number);
      watch.look();
    }
    assertEquals(List.of("descriptors.scarce", "descriptors.recovered"), events);
    open.set(900);
    watch.look();
    assertEquals(3, events.size());
  }

  @Test
  void anEventThatCannotBeWrittenIsWrittenLater() {
    List<String> events = new ArrayList<>();
    AtomicInteger failures = new AtomicInteger(1);
    DescriptorWatch watch =
        new DescriptorWatch(
            () -> 900,
            1000,
            (kind, message) -> {
              if (failures.getAndDecrement() > 0) {
                throw new IllegalStateException("the database is locked");
              }
              events.add(kind + ": " + message);
            });
    assertThrows(IllegalStateException.class, watch::look);
    watch.look();
    assertEquals(1, events.size());
    assertTrue(events.getFirst().contains("90 % of its 1000"), events::toString);
  }
}
