package io.malleable.control;

import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;

/** Remembers which operation a request with an idempotency key started, in its transaction. */
final class Idempotency {
  private static final ScopedValue<Key> CURRENT = ScopedValue.newInstance();

  private Idempotency() {}

  private record Key(UUID project, String text, String fingerprint) {}

  /** The request was made before; nothing is to be done again. */
  static final class Repeated extends RuntimeException {
    private final UUID operation;

    Repeated(UUID operation) {
      super(null, null, false, false);
      this.operation = operation;
    }

    UUID operation() {
      return operation;
    }
  }

  /** Makes the request, unless it was made before. */
  static Operation once(
      Database database,
      UUID project,
      String key,
      String fingerprint,
      Supplier<Operation> request) {
    Key current = new Key(project, key, fingerprint);
    Optional<Operation> before =
        database.read(rows -> earlier(rows, current).flatMap(id -> rows.operations().find(id)));
    if (before.isPresent()) {
      return before.get();
    }
    return ScopedValue.where(CURRENT, current).call(request::get);
  }

  /** Called in the transaction that starts an operation. */
  static void remember(Rows rows, Operation operation) {
    if (!CURRENT.isBound()) {
      return;
    }
    Key key = CURRENT.get();
    Optional<UUID> earlier = earlier(rows, key);
    if (earlier.isPresent()) {
      throw new Repeated(earlier.get());
    }
    rows.operations().remember(key.project(), key.text(), key.fingerprint(), operation.id());
  }

  private static Optional<UUID> earlier(Rows rows, Key key) {
    Optional<Rows.Remembered> remembered = rows.operations().remembered(key.project(), key.text());
    if (remembered.isPresent() && !remembered.get().fingerprint().equals(key.fingerprint())) {
      throw ControlException.ofField(
          ErrorCode.IDEMPOTENCY_KEY_REUSED,
          "Idempotency-Key",
          key.text(),
          "The idempotency key was used for another request.",
          "Use a new key for each new request.");
    }
    return remembered.map(Rows.Remembered::operation);
  }
}
