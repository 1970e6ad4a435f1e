package io.malleable.app;

import io.malleable.volume.LocalVolumeStore;
import io.malleable.volume.VolumeStore;
import io.malleable.volume.rbd.RbdConfig;
import io.malleable.volume.rbd.RbdVolumeStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.UUID;

/** Opens the volume store that the settings ask for. */
final class Volumes {
  private Volumes() {}

  static VolumeStore open(Settings settings, DataDirectory data)
      throws StartException, IOException {
    if (settings.rbd().isEmpty()) {
      return LocalVolumeStore.open(
          data.resolve("volumes"), new LocalVolumeStore.Settings(settings.storeReserveBytes()));
    }
    Settings.Rbd rbd = settings.rbd().get();
    try {
      return RbdVolumeStore.open(
          new RbdConfig(rbd.conf(), rbd.user(), rbd.pool(), rbd.timeout(), instance(data)));
    } catch (IOException e) {
      throw new StartException(
          "the volume store on Ceph cannot be opened: " + e.getMessage(),
          "check the settings store-rbd-* and that the cluster answers",
          e);
    }
  }

  /** By this a server knows its own locks again after it died with them. */
  private static UUID instance(DataDirectory data) throws IOException {
    Path file = data.resolve("instance-id");
    try {
      return UUID.fromString(Files.readString(file).strip());
    } catch (NoSuchFileException e) {
      UUID id = UUID.randomUUID();
      data.writePrivately(file, id + "\n");
      return id;
    }
  }
}
