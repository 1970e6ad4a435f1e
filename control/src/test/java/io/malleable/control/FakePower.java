package io.malleable.control;

import io.malleable.hardware.PowerDriver;
import io.malleable.hardware.PowerState;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** Machines that outlive the server. {@code fake:NAME} has a driver, anything else has none. */
final class FakePower implements Power {
  final Map<String, Machine> machines = new ConcurrentHashMap<>();

  /** One machine. */
  static final class Machine implements PowerDriver {
    final List<String> calls = new ArrayList<>();
    volatile PowerState state = PowerState.OFF;
    volatile boolean broken;
    volatile Runnable onSwitchOn = () -> {};

    private void call(String what) throws IOException {
      synchronized (calls) {
        calls.add(what);
      }
      if (broken) {
        throw new IOException("the BMC does not answer");
      }
    }

    @Override
    public PowerState state() throws IOException {
      if (broken) {
        throw new IOException("the BMC does not answer");
      }
      return state;
    }

    @Override
    public void on() throws IOException {
      call("on");
      onSwitchOn.run();
      state = PowerState.ON;
    }

    @Override
    public void off() throws IOException {
      call("off");
      state = PowerState.OFF;
    }

    @Override
    public void bootFromNetworkOnce() throws IOException {
      call("network");
    }
  }

  Machine machine(String name) {
    return machines.computeIfAbsent(name, _ -> new Machine());
  }

  @Override
  public void checkAddress(String bmc) {
    if (!bmc.startsWith("fake:")) {
      throw ControlException.ofField(
          ErrorCode.BMC_INVALID, "bmc", bmc, "unknown driver", "use fake:NAME");
    }
  }

  @Override
  public boolean isAutomatic(Node node) {
    return node.bmc().isPresent();
  }

  @Override
  public PowerDriver driver(Node node) {
    return machine(node.bmc().orElseThrow().substring("fake:".length()));
  }
}
