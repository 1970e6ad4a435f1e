package io.malleable.volume.local;

import java.io.IOException;

/**
 * The storage could not make data durable. What it held back may be gone and a second sync would
 * not tell (Linux forgets the pages it failed to write), so the volume stops until it is opened
 * again.
 */
final class SyncFailedException extends IOException {
  SyncFailedException(String name, IOException cause) {
    super("cannot make " + name + " durable: " + cause.getMessage(), cause);
  }
}
