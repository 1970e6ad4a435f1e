package io.malleable.app;

import io.malleable.cli.DoctorCommand;
import io.malleable.cli.ImageCheckCommand;
import io.malleable.cli.M2Command;
import io.malleable.lab.LabCommand;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Supplier;

/** The {@code m2} program: the client's commands, the lab's, and the server. */
public final class Main {
  private Main() {}

  /** Runs one command and exits with its status: 0 done, 1 failed, 2 not understood. */
  public static void main(String[] arguments) {
    System.setProperty(LastingLogManager.PROPERTY, LastingLogManager.class.getName());
    Map<String, Supplier<Object>> more = new LinkedHashMap<>();
    more.put("serve", ServeCommand::spec);
    more.put("doctor", () -> new DoctorCommand(new LocalStoreCheck()));
    more.put("image check", () -> new ImageCheckCommand(new LocalImageCheck()));
    LabCommand.addTo(more);
    System.exit(M2Command.run(arguments, more));
  }
}
