package io.malleable.hardware;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.Test;

class VerifiedPowerTest {
  private static final BmcLimits LIMITS =
      new BmcLimits(Duration.ofSeconds(1), 3, Duration.ofMillis(1), Duration.ofMillis(150));

  private final ScriptedBmc bmc = new ScriptedBmc();
  private final PowerDriver power = new VerifiedPower(bmc, LIMITS);

  @Test
  void aLostRequestIsRepeated() throws IOException {
    bmc.failures.add(PowerException.Kind.UNREACHABLE);
    bmc.failures.add(PowerException.Kind.UNREACHABLE);
    assertEquals(PowerState.OFF, power.state());
    assertEquals(List.of("state", "state", "state"), bmc.calls);
  }

  @Test
  void anUnreachableBmcIsGivenUpAfterTheLastAttempt() {
    for (int i = 0; i < 3; i++) {
      bmc.failures.add(PowerException.Kind.UNREACHABLE);
    }
    PowerException e = assertThrows(PowerException.class, power::on);
    assertEquals(PowerException.Kind.UNREACHABLE, e.kind());
    assertEquals(3, bmc.calls.size());
  }

  @Test
  void aRefusedAccountIsNotTriedAgainBecauseBmcsLockAccounts() {
    bmc.failures.add(PowerException.Kind.AUTHENTICATION);
    PowerException e = assertThrows(PowerException.class, power::on);
    assertEquals(PowerException.Kind.AUTHENTICATION, e.kind());
    assertEquals(List.of("state"), bmc.calls);
  }

  @Test
  void aCommandThatWasForgottenIsGivenAgain() throws IOException {
    bmc.forgets = 1;
    power.on();
    assertEquals(PowerState.ON, power.state());
    assertEquals(2, bmc.calls.stream().filter("on"::equals).count());
  }

  @Test
  void aMachineThatIsOnAlreadyGetsNoCommand() throws IOException {
    bmc.state = PowerState.ON;
    power.on();
    assertEquals(List.of("state"), bmc.calls);
  }

  private static final class ScriptedBmc implements Bmc {
    private final Deque<PowerException.Kind> failures = new ArrayDeque<>();
    private final List<String> calls = new ArrayList<>();
    private PowerState state = PowerState.OFF;
    private int forgets;

    private void call(String what) throws PowerException {
      calls.add(what);
      PowerException.Kind kind = failures.poll();
      if (kind != null) {
        throw new PowerException(kind, "scripted", "none");
      }
    }

    @Override
    public String name() {
      return "scripted";
    }

    @Override
    public PowerState powerState() throws IOException {
      call("state");
      return state;
    }

    @Override
    public void powerOn() throws IOException {
      call("on");
      if (forgets-- <= 0) {
        state = PowerState.ON;
      }
    }

    @Override
    public void powerOff() throws IOException {
      call("off");
      state = PowerState.OFF;
    }

    @Override
    public void bootFromNetworkOnce() throws IOException {
      call("boot");
    }
  }
}
