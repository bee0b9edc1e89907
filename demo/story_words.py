"""The people, animals, places and things of the demo stories."""

GIRLS = """Lily Mia Anna Rosie Ella Zoe Lucy Nora Ruby Clara Daisy Emma Ivy Maya Sara Tess Nina Poppy
Lena Amy""".split()
BOYS = """Tom Ben Sam Max Leo Jack Finn Oscar Noah Eli Theo Hugo Luke Jamie Peter Milo Adam Toby Will
Dan""".split()

SHE_ANIMALS = "Hazel Willow Fern Clover Tilly Dot Honey Misty".split()
HE_ANIMALS = "Pip Bramble Nibbles Pebble Button Biscuit Rusty Moss".split()
ANIMAL_KINDS = """rabbit fox bear mouse duck hedgehog squirrel kitten puppy frog turtle lamb pony beaver
otter""".split()

TRAITS = "kind brave curious cheerful clever gentle quiet friendly lively happy".split()

# (name, pronoun) of grown-ups in the family
ELDERS = [("mom", "she"), ("dad", "he"), ("grandma", "she"), ("grandpa", "he")]

# wise animals that give help or advice: (noun phrase without article, pronoun)
HELPERS = [
    ("old owl", "he"), ("wise turtle", "she"), ("friendly crow", "he"), ("big brown dog", "he"),
    ("gray goose", "she"), ("tall deer", "she"), ("busy bee", "she"), ("old toad", "he"),
    ("white horse", "she"), ("little robin", "she"), ("orange cat", "he"), ("slow snail", "he"),
]

# small creatures that get into trouble: (noun phrase, where it is stuck, pronoun)
CREATURES = [
    ("bird", "caught in a thorny bush", "she"), ("kitten", "stuck high up in a tree", "he"),
    ("puppy", "stuck in a muddy hole", "he"), ("duckling", "lost in the tall grass", "she"),
    ("butterfly", "trapped in a spider web", "she"), ("bunny", "hiding under a log", "he"),
    ("turtle", "lying on his back", "he"), ("ladybug", "floating in a puddle", "she"),
    ("hedgehog", "tangled in some string", "he"), ("baby squirrel", "fallen from her nest", "she"),
]

# (place, "in the place", three spots to search or visit, what one can do there)
PLACES = [
    ("park", "in the park", ["under the big oak tree", "by the pond", "behind the bench", "near the swings"]),
    ("garden", "in the garden", ["behind the roses", "under the apple tree", "by the gate", "near the well"]),
    ("forest", "in the forest", ["under the ferns", "behind a mossy rock", "by the stream", "inside a hollow log"]),
    ("beach", "on the beach", ["behind the dunes", "by the water", "near the rocks", "under a blue boat"]),
    ("meadow", "in the meadow", ["in the tall grass", "by the fence", "behind the haystack", "near the flowers"]),
    ("farm", "on the farm", ["in the barn", "behind the hen house", "by the old tractor", "near the pigs"]),
    ("river", "by the river", ["under the bridge", "behind the willow tree", "on the stones", "near the mill"]),
    ("hill", "on the hill", ["behind the big rock", "by the windmill", "under the pine tree", "near the path"]),
    ("village", "in the village", ["by the fountain", "behind the bakery", "near the school", "under the bridge"]),
    ("orchard", "in the orchard", ["under the pear tree", "by the ladder", "behind the baskets", "near the wall"]),
]

COLORS = "red blue green yellow orange purple white shiny little old new soft".split()
TOYS = ["ball", "kite", "doll", "teddy bear", "toy boat", "toy train", "hat", "scarf", "blanket", "drum",
        "storybook", "bell", "wagon", "bucket", "spinning top", "whistle", "backpack", "lantern", "umbrella",
        "music box"]

# things to take to bed
CUDDLY = ["teddy bear", "soft blanket", "old doll", "toy rabbit", "little pillow", "toy elephant"]

# things to bake, to eat and to give away
TREATS = ["a chocolate cake", "an apple pie", "a loaf of warm bread", "a bowl of berries", "a plate of cookies",
          "a basket of apples", "a pot of soup", "a lemon cake", "a stack of pancakes", "a plum pie"]

# things to make: (with article, noun, what it is made of)
PROJECTS = [
    ("a tree house", "tree house", "old boards"), ("a kite", "kite", "paper and string"),
    ("a small boat", "boat", "sticks and leaves"), ("a bird house", "bird house", "some wood"),
    ("a sand castle", "castle", "wet sand"), ("a tall tower", "tower", "wooden blocks"),
    ("a little bridge", "bridge", "flat stones"), ("a hut", "hut", "branches and leaves"),
    ("a scarecrow", "scarecrow", "straw and old clothes"), ("a windmill", "windmill", "paper and sticks"),
]

# (seed, what grows)
PLANTS = [
    ("sunflower seed", "sunflower"), ("apple seed", "apple tree"), ("pumpkin seed", "pumpkin"),
    ("bean", "bean plant"), ("tulip bulb", "tulip"), ("acorn", "oak tree"), ("strawberry seed", "strawberry plant"),
]

# (fear, "afraid of ...", how it is met in the story, what is good about it)
FEARS = [
    ("the dark", "When the lamp went out, the room was black and still", "the stars shine so bright"),
    ("thunder", "Boom! A loud clap of thunder shook the house", "the rain makes the flowers grow"),
    ("deep water", "The water looked cold and very deep", "it feels like flying when you float"),
    ("high places", "The ladder was tall, and the ground looked far away", "you can see the whole valley"),
    ("the big dog next door", "The big dog ran up to the fence and barked", "he only wants someone to play with"),
    ("speaking in front of people", "Everyone in the room was looking and waiting", "people smile when they hear you"),
    ("the first day of school", "The school was big and full of strange faces", "there are new friends in every room"),
]

# breakable things of the family
TREASURES = ["blue vase", "glass lamp", "tea cup", "clay pot", "flower bowl", "picture frame", "snow globe", "big mirror"]
