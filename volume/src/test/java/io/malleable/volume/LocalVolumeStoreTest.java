package io.malleable.volume;

import java.io.IOException;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LocalVolumeStoreTest extends VolumeStoreContract {
  @TempDir Path directory;

  @Override
  VolumeStore openStore() throws IOException {
    return LocalVolumeStore.open(directory);
  }

  @Test
  void aSecondProcessCannotOpenTheStore() {
    assertRefused(VolumeException.Reason.UNAVAILABLE, () -> LocalVolumeStore.open(directory));
  }
}
