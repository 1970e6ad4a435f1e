package io.malleable.app;

import io.malleable.volume.VolumeStore;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.UnaryOperator;

/** A volume store whose host went down while these disks were written to. */
final class InterruptedStore implements UnaryOperator<VolumeStore> {
  private final Set<UUID> lost = ConcurrentHashMap.newKeySet();

  InterruptedStore(UUID... disks) {
    lost.addAll(List.of(disks));
  }

  /** What the store has not been told to forget. */
  Set<UUID> remembered() {
    return Set.copyOf(lost);
  }

  @Override
  public VolumeStore apply(VolumeStore store) {
    return (VolumeStore)
        Proxy.newProxyInstance(
            VolumeStore.class.getClassLoader(),
            new Class<?>[] {VolumeStore.class},
            (_, method, arguments) ->
                switch (method.getName()) {
                  case "lostWrites" -> remembered();
                  case "forgetLostWrites" -> {
                    lost.remove((UUID) arguments[0]);
                    yield null;
                  }
                  default -> {
                    try {
                      yield method.invoke(store, arguments);
                    } catch (InvocationTargetException e) {
                      throw e.getCause();
                    }
                  }
                });
  }
}
