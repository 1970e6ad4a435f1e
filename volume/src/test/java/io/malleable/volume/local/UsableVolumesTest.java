package io.malleable.volume.local;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.malleable.volume.VolumeException;
import io.malleable.volume.VolumeException.Reason;
import io.malleable.volume.VolumeInfo;
import io.malleable.volume.VolumeStore;
import java.io.IOException;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.nio.file.NoSuchFileException;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/** What the contract says of a store that has nothing cheaper than to ask for each volume. */
final class UsableVolumesTest {
  private static final UUID GOOD = UUID.randomUUID();
  private static final UUID BAD = UUID.randomUUID();

  /** A store in which one volume is good, and another fails like this. */
  private static VolumeStore store(IOException failure) {
    return (VolumeStore)
        Proxy.newProxyInstance(
            VolumeStore.class.getClassLoader(),
            new Class<?>[] {VolumeStore.class},
            (proxy, method, arguments) -> {
              if (method.isDefault()) {
                return InvocationHandler.invokeDefault(proxy, method, arguments);
              }
              if (arguments[0].equals(BAD)) {
                throw failure;
              }
              return Optional.of(new VolumeInfo(GOOD, true, 512, 512, Optional.empty()));
            });
  }

  @Test
  void oneThatFailsIsLeftOutWhateverTheFailure() throws IOException {
    for (IOException failure :
        List.of(
            new IOException("Input/output error"),
            new NoSuchFileException("layer"),
            new VolumeException(Reason.CORRUPT, "no volume"))) {
      assertEquals(Set.of(GOOD), store(failure).usable(List.of(BAD, GOOD)));
    }
  }

  @Test
  void aStoreThatDoesNotAnswerSaysNothingOfAny() {
    VolumeStore silent = store(new VolumeException(Reason.UNAVAILABLE, "nobody answers"));
    assertThrows(VolumeException.class, () -> silent.usable(List.of(GOOD, BAD)));
  }
}
