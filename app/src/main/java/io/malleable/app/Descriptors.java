package io.malleable.app;

import io.malleable.server.ServerFacts.DescriptorFacts;
import io.malleable.server.ServerFacts.ListenerFacts;
import io.malleable.volume.local.DescriptorPool;
import java.io.File;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.IntSupplier;

/** The descriptors of this process: how many there may be, how many there are, and whose. */
final class Descriptors {
  private static final System.Logger LOG = System.getLogger(Descriptors.class.getName());
  private static final File OPEN = new File("/proc/self/fd");

  private record Listener(String name, int budget, IntSupplier connections) {}

  private final DescriptorBudget budget;
  private final List<Listener> listeners = new CopyOnWriteArrayList<>();

  private Descriptors(DescriptorBudget budget) {
    this.budget = budget;
  }

  /**
   * Raises the limit as far as it goes, bounds the store's files, and warns when that is little.
   */
  static Descriptors claim() throws IOException {
    DescriptorBudget budget = DescriptorBudget.of(FileLimit.raise());
    DescriptorPool.ofProcess().limitTo(budget.store());
    budget.shortage().ifPresent(shortage -> LOG.log(Level.WARNING, shortage));
    return new Descriptors(budget);
  }

  DescriptorBudget budget() {
    return budget;
  }

  /** How many are open; the limit when there is none left to find out with. */
  int open() {
    String[] numbers = OPEN.list();
    // One is of the listing itself.
    return numbers == null ? budget.limit() : numbers.length - 1;
  }

  /** A listener is on. */
  void onListening(String name, int most, IntSupplier connections) {
    listeners.add(new Listener(name, most, connections));
  }

  DescriptorFacts facts() {
    return new DescriptorFacts(
        open(),
        budget.limit(),
        budget.shortage(),
        listeners.stream()
            .map(each ->
                new ListenerFacts(each.name(), each.connections().getAsInt(), each.budget()))
            .toList());
  }
}
