# frozen_string_literal: true

# check.rb VAGRANTFILE: runs a Vagrantfile against recorders that know only the options it may use, and prints its machines as
# JSON. `vagrant validate` never runs the blocks of providers that are not installed, so it lets their misspelt options pass.

require "json"

# Takes `name = value` for the names it knows; anything else is a fault.
class Recorder
  def initialize(what, *names)
    @what = what
    @names = names
    @values = {}
  end

  attr_reader :values

  def method_missing(name, *arguments)
    option = name.to_s.delete_suffix("=")
    raise "#{@what} has no option `#{option}`; it has #{@names.join(', ')}" unless name.end_with?("=") && @names.include?(option)

    @values[option] = arguments.fetch(0)
  end

  def respond_to_missing?(*)
    true
  end
end

# `config.vm` and a machine's `vm`.
class Machine < Recorder
  PROVIDERS = { "libvirt" => %w[cpus memory], "virtualbox" => %w[cpus memory name] }.freeze

  attr_reader :machines

  def initialize
    super("vm", "box", "hostname")
    @machines = {}
  end

  def synced_folder(_from, _to, disabled:)
    raise "a synced folder would need guest additions" unless disabled
  end

  def network(kind, ip:)
    raise "vm.network: only private_network is known, not `#{kind}`" unless kind == "private_network"

    values["ip"] = ip
  end

  def define(name)
    machine = Machine.new
    yield Config.new(machine)
    @machines[name] = machine.values
  end

  def provider(name)
    options = PROVIDERS.fetch(name) { raise "vm.provider: `#{name}` is not one of #{PROVIDERS.keys.join(', ')}" }
    recorder = Recorder.new(name, *options)
    yield recorder
    values[name] = recorder.values
  end
end

# What the blocks are given.
Config = Struct.new(:vm) do
  def ssh
    @ssh ||= Recorder.new("ssh", "insert_key")
  end
end

# The entry of a Vagrantfile.
module Vagrant
  def self.configure(version)
    raise "version `#{version}`" unless version == "2"

    config = Config.new(Machine.new)
    yield config
    puts JSON.generate("box" => config.vm.values["box"], "machines" => config.vm.machines)
  end
end

load ARGV.fetch(0)
