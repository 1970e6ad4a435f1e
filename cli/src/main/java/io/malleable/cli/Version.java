package io.malleable.cli;

import picocli.CommandLine.IVersionProvider;

/** The version that the build wrote into the jar. */
final class Version implements IVersionProvider {

  static String text() {
    String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "unpacked classes" : version;
  }

  @Override
  public String[] getVersion() {
    return new String[] {"m2 " + text()};
  }
}
