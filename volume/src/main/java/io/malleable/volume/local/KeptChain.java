package io.malleable.volume.local;

import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * Keeps the chain that was worked on last open until the next one is, which often is the same: a
 * step for each of its layers would open all of them each time. Used by one thread at a time.
 */
final class KeptChain {
  private final GuardedCatalogue guard;
  private @Nullable Layer kept;

  KeptChain(GuardedCatalogue guard) {
    this.guard = guard;
  }

  /** The layer, which is open, and all below it, in place of what was kept. */
  void keep(Layer layer) throws IOException {
    Layer before = kept;
    kept = guard.with(catalogue -> catalogue.open().pinOpen(layer));
    if (before != null) {
      guard.release(before);
    }
  }

  void end() throws IOException {
    Layer before = kept;
    kept = null;
    if (before != null) {
      guard.release(before);
    }
  }
}
