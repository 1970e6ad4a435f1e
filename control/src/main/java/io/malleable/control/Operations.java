package io.malleable.control;

import java.util.Optional;
import java.util.UUID;
import java.util.function.Supplier;

/** Long tasks: what they are, how they stand, how to end them. */
public final class Operations {
  private static final int MAX_KEY_LENGTH = 128;

  private final Ports ports;
  private final Engine engine;
  private final Signal signal;

  Operations(Ports ports, Engine engine, Signal signal) {
    this.ports = ports;
    this.engine = engine;
    this.signal = signal;
  }

  /**
   * Finds an operation of the project.
   *
   * @throws ControlException NOT_FOUND
   */
  public Operation get(UUID project, String id) {
    return engine.withProgress(ports.database().read(rows -> require(rows, project, id)));
  }

  /** Newest first. */
  public Page<Operation> list(UUID project, OperationFilter filter, PageRequest request) {
    return ports
        .database()
        .read(rows ->
            request.page(
                rows
                    .operations()
                    .page(project, filter, request.afterKey(), request.limit() + 1)
                    .stream()
                    .map(engine::withProgress)
                    .toList(),
                rows.operations()::key));
  }

  /**
   * Undoes what the operation did. Returns at once; it is over when its state is final.
   *
   * @throws ControlException NOT_FOUND, OPERATION_FINISHED, OPERATION_CANNOT_ABORT
   */
  public Operation abort(UUID project, String id) {
    return engine.abort(get(project, id).id());
  }

  /**
   * Waits until the operation has changed since {@code revision} or has ended, at most this long;
   * returns it as it is then. Progress within a step does not count as a change.
   */
  public Operation await(UUID project, String id, long revision, long timeoutMillis)
      throws InterruptedException {
    get(project, id);
    signal.await(
        () -> {
          Operation now = ports.database().read(rows -> require(rows, project, id));
          return now.revision() != revision || now.state().isFinal() ? now : null;
        },
        timeoutMillis);
    return get(project, id);
  }

  /** Waits until the operation has ended, at most this long; returns it as it is then. */
  public Operation awaitEnd(UUID project, String id, long timeoutMillis)
      throws InterruptedException {
    get(project, id);
    signal.await(
        () -> {
          Operation now = ports.database().read(rows -> require(rows, project, id));
          return now.state().isFinal() ? now : null;
        },
        timeoutMillis);
    return get(project, id);
  }

  /**
   * Makes a request once: a repetition with the same key returns the operation that the first one
   * started and does nothing. The key is remembered as long as the operation.
   *
   * @param key the caller's, up to 128 printable characters
   * @param fingerprint of method, path and body of the request
   * @param request calls one method of the services that starts an operation
   * @throws ControlException IDEMPOTENCY_KEY_REUSED when the key came with another fingerprint
   */
  public Operation once(UUID project, String key, String fingerprint, Supplier<Operation> request) {
    if (key.isEmpty() || key.length() > MAX_KEY_LENGTH || !key.matches("[!-~]+")) {
      throw ControlException.ofField(
          ErrorCode.FIELD_INVALID,
          "Idempotency-Key",
          key,
          "The idempotency key cannot be used.",
          "Use 1 to " + MAX_KEY_LENGTH + " visible ASCII characters, such as a UUID.");
    }
    return Idempotency.once(ports.database(), project, key, fingerprint, request);
  }

  private static Operation require(Rows rows, UUID project, String id) {
    Optional<Operation> operation =
        ResourceName.looksLikeId(id)
            ? rows.operations().find(UUID.fromString(id))
            : Optional.empty();
    return operation
        .filter(o -> o.projectId().equals(project))
        .orElseThrow(() -> Lookup.notFound(ResourceKind.OPERATION, id));
  }
}
