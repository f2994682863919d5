"""Every kind of happening, in one table. A new one is one function in one file here, and one entry."""

from collections.abc import Mapping
from types import MappingProxyType

from sensors_sim.happenings.air import air_episode, smoke_plume
from sensors_sim.happenings.camera import camera_vandal
from sensors_sim.happenings.care import door_forced, elder_falls, help_pressed, intrusion
from sensors_sim.happenings.crowd import crowd, festival, traffic_jam
from sensors_sim.happenings.electrical import overload, shop_overheats
from sensors_sim.happenings.fire import false_fire, fire
from sensors_sim.happenings.gas import co_poisoning, gas_leak, small_leak, valve_pit
from sensors_sim.happenings.outage import network_split, power_cut, storm_load
from sensors_sim.happenings.storm import storm_damage
from sensors_sim.happenings.structure import crack_opens, leaning_building, stiffness_loss, subsidence
from sensors_sim.happenings.water import burst_pipe, flood
from sensors_sim.staging import Happening

HAPPENINGS: Mapping[str, Happening] = MappingProxyType(
    {
        # gas, fire, air, electricity
        "gas_leak": gas_leak,
        "small_leak": small_leak,
        "co_poisoning": co_poisoning,
        "valve_pit": valve_pit,
        "fire": fire,
        "false_fire": false_fire,
        "air_episode": air_episode,
        "smoke_plume": smoke_plume,
        "shop_overheats": shop_overheats,
        "overload": overload,
        # buildings, walls, bridges
        "subsidence": subsidence,
        "leaning_building": leaning_building,
        "crack_opens": crack_opens,
        "stiffness_loss": stiffness_loss,
        # water and storm
        "flood": flood,
        "burst_pipe": burst_pipe,
        "storm_damage": storm_damage,
        # no power, no network, too much of it
        "power_cut": power_cut,
        "network_split": network_split,
        "storm_load": storm_load,
        # people
        "festival": festival,
        "crowd": crowd,
        "traffic_jam": traffic_jam,
        "elder_falls": elder_falls,
        "help_pressed": help_pressed,
        "intrusion": intrusion,
        "door_forced": door_forced,
        "camera_vandal": camera_vandal,
    }
)
"""How each kind is staged, by the name that scenario files use."""
