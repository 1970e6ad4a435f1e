package io.malleable.control;

import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Keeps the rows. Writers come one after the other; readers see the state of one moment. Work must
 * be short and must not wait for anything but the rows: not for a store, a target or a machine.
 */
public interface Database extends AutoCloseable {
  <T> T read(Function<Rows, T> work);

  /**
   * One transaction, durable when this returns; rolled back when the work throws.
   *
   * @throws ControlException DATABASE_BUSY, DATABASE_FAILED
   */
  <T> T write(Function<Rows, T> work);

  /** As {@link #write} for work without a result. */
  default void change(Consumer<Rows> work) {
    write(rows -> {
      work.accept(rows);
      return true;
    });
  }

  @Override
  void close();
}
