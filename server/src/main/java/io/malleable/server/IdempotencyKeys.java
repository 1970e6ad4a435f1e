package io.malleable.server;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The first answers to calls that carried an {@code Idempotency-Key}. Bounded: the oldest go after
 * a day or when there are too many. Safe for all threads.
 */
final class IdempotencyKeys {
  static final int MAX_KEYS = 10_000;
  static final int MAX_KEY_CHARS = 128;

  private static final Duration LIFETIME = Duration.ofDays(1);

  /** What is known of a key; {@code answer} is null while the first call is under way. */
  private record Entry(String fingerprint, Instant since, Answer.@Nullable Whole answer) {}

  private final InstantSource clock;
  private final Map<String, Entry> entries = new LinkedHashMap<>();

  IdempotencyKeys(InstantSource clock) {
    this.clock = clock;
  }

  /**
   * The answer that was given before, or nothing: then the caller does the work and must call
   * {@link #finish}.
   */
  synchronized Optional<Answer.Whole> begin(String scope, byte[] body) {
    dropOld();
    String fingerprint = fingerprint(body);
    Entry known = entries.get(scope);
    if (known == null) {
      entries.put(scope, new Entry(fingerprint, clock.instant(), null));
      return Optional.empty();
    }
    if (!known.fingerprint().equals(fingerprint)) {
      throw ApiException.of(
          422,
          "IDEMPOTENCY_KEY_REUSED",
          "Idempotency-Key",
          "This key was used with another body.",
          "Use a new key for a new request.");
    }
    if (known.answer() == null) {
      throw ApiException.of(
          409,
          "IDEMPOTENCY_KEY_BUSY",
          "Idempotency-Key",
          "The first call with this key is still under way.",
          "Repeat the call in a moment.");
    }
    return Optional.of(known.answer());
  }

  /** Keeps the answer; a failure of ours is forgotten, so that repeating the call tries again. */
  synchronized void finish(String scope, Answer.@Nullable Whole answer) {
    Entry entry = entries.get(scope);
    if (entry == null) {
      return;
    }
    if (answer == null || answer.status() >= 500) {
      entries.remove(scope);
    } else {
      entries.put(scope, new Entry(entry.fingerprint(), entry.since(), answer));
    }
  }

  private void dropOld() {
    Instant oldest = clock.instant().minus(LIFETIME);
    Iterator<Entry> byAge = entries.values().iterator();
    while (byAge.hasNext()) {
      Entry entry = byAge.next();
      boolean tooMany = entries.size() >= MAX_KEYS && entry.answer() != null;
      if (!tooMany && !entry.since().isBefore(oldest)) {
        return;
      }
      byAge.remove();
    }
  }

  /** What must be the same when a call is repeated. */
  static String fingerprint(Call call) {
    return call.method() + " " + call.pathAndQuery() + " " + fingerprint(call.bytes());
  }

  private static String fingerprint(byte[] body) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(body));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  static String scope(Call call, String key) {
    if (key.isEmpty()
        || key.length() > MAX_KEY_CHARS
        || !StandardCharsets.US_ASCII.newEncoder().canEncode(key)) {
      throw ApiException.of(
          400,
          "IDEMPOTENCY_KEY_INVALID",
          "Idempotency-Key",
          "The key has " + key.length() + " characters.",
          "Use 1 to " + MAX_KEY_CHARS + " ASCII characters, such as a UUID.");
    }
    return String.join("\n", call.project(), call.method(), call.pathAndQuery(), key);
  }
}
