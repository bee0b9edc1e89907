"""The plots of the demo stories.

A plot is a list of paragraphs, a paragraph a list of beats, a beat a list of alternatives in the
template language of make_corpus.py; one is told. An empty alternative leaves the beat out.
"""

from story_beats import DAY, FRIENDS_END, INTRO, LIKES, NIGHT_END, THANKS, lesson

LOST_TOY = [
    [INTRO, [
        "{He} had {a_toy} that {he} loved [more than anything|very much|best of all].",
        "{His} favorite thing in the world was {a_toy}.",
        "For {his} birthday, {his} {elder} gave {him} {a_toy}, and {he} took it everywhere.",
    ], [
        "{He} played with the {toy} from morning to night.", "The {toy} was always by {his} side.",
        "At night, the {toy} lay next to {his} bed.", "",
    ]],
    [DAY, [
        "But when it was time to go home, the {toy} was gone!",
        "Suddenly, {hero} saw that the {toy} was [not there anymore|missing|gone].",
        "{He} looked around, but {he} could not see {his} {toy} anywhere.",
    ], [
        "\"Oh no! Where is my {toy}?\" {he} cried.",
        "\"My {toy} is gone!\" said {hero}, and [a tear ran down {his} cheek|{his} eyes filled with tears].",
        "{hero} was very [sad|worried|upset].",
        "\"I have lost my {color_toy},\" {he} said in a small voice.",
    ]],
    [[
        "{hero} looked {spot}, but it was not there.",
        "First {he} looked {spot}. There was [nothing|no {toy}] there.",
        "{He} searched {spot}, but {he} found only [leaves|a few stones|an old shoe|some ants].",
    ], [
        "Then {he} looked {spot2}, but the {toy} was not there either.",
        "Next {he} searched {spot2}. No {toy}!", "",
    ], [
        "Just then, {his} friend {friend} came by. \"Why are you [sad|crying|so sad]?\" asked {friend}. \"I lost my {toy},\" said {hero}.",
        "{His} friend {friend} saw {him} and asked, \"What is wrong?\" {hero} told {friend} about the {toy}.",
        "{A_f_kind} named {friend} heard {him}. \"Do not cry,\" said {friend}. \"I will help you look.\"",
    ], [
        "\"Let us look together,\" said {friend}.",
        "\"Two [can look better|can see more] than one,\" said {friend}.",
        "\"Come, we will find it,\" said {friend}, and took {him} by the hand.",
    ]],
    [[
        "They [walked|went] [slowly |]and looked {spot3}. There it was!",
        "Together they looked {spot3}, and there was the {color_toy}!",
        "At last {friend} looked {spot3}. \"Here it is!\" {f_he} [shouted|called]. \"I found your {toy}!\"",
    ], [
        "The {toy} was a little [dirty|wet|dusty], but {hero} did not mind.",
        "{hero} [jumped for joy|danced with joy|clapped {his} hands] and held the {toy} tight.",
        "{hero} was so happy that {he} [laughed out loud|hugged the {toy}].",
    ], THANKS],
    [FRIENDS_END, lesson(
        "a friend makes every search easier.", "it is good to ask for help.",
        "a good friend is worth more than any {toy}.", "it helps to take good care of your things.")],
]

NEW_FRIEND = [
    [INTRO, LIKES],
    [DAY, [
        "There {he} saw {a_f_kind} sitting all alone {spot}.",
        "{hero} noticed {a_f_kind} who was sitting {spot}, looking at the ground.",
        "{A_f_kind} stood {spot} and did not say a word.",
    ], [
        "The {f_kind} looked [sad|lonely|shy|a little sad].", "Nobody was playing with {f_him}.",
        "{He} had never seen {f_him} before.",
    ]],
    [[
        "\"Hello, I am {hero}. What is your name?\" asked {hero}.",
        "{hero} walked over and said, \"Hi! My name is {hero}. Who are you?\"",
        "{hero} smiled and waved. \"Hello! Would you like to play with me?\"",
    ], [
        "\"My name is {friend},\" the {f_kind} said [softly|quietly|in a small voice]. \"I am new here, and I have no friends.\"",
        "\"I am {friend},\" said the {f_kind}. \"We moved here [yesterday|last week], and I do not know anyone.\"",
    ], [
        "{hero} [thought for a moment|felt sorry for {friend}|knew how that felt].",
        "\"Then I will be your friend!\" said {hero}.",
        "\"Now you know me,\" said {hero} with a smile.",
    ]],
    [[
        "{hero} took out {his} {color_toy} and gave it to {friend}. \"You can [play with it|have a turn] first,\" {he} said.",
        "\"Look, I have {a_toy},\" said {hero}. \"We can play with it together.\"",
        "{hero} had {a_treat} with {him}, and {he} gave half of it to {friend}.",
        "{hero} showed {friend} the best place of all, {spot2}.",
    ], [
        "They played [hide and seek|tag|all kinds of games] {spot3} and laughed a lot.",
        "Soon they were [running|laughing|singing] and playing {in_place}.",
        "They [climbed|jumped|raced] and played until they were [tired|hungry].",
    ], [
        "{friend} was not [shy|sad|lonely] anymore.",
        "\"This is the best day ever!\" said {friend}.",
        "\"I am so glad I met you,\" said {friend}.",
    ]],
    [FRIENDS_END, lesson(
        "a smile can make a new friend.", "a kind word can change a whole day.",
        "it is easy to make friends when you say hello.", "nobody should have to play alone.")],
]

SHARING = [
    [INTRO, [
        "{He} had {a_toy}, and {he} did not like to share it.",
        "One day, {his} {elder} gave {him} {a_toy}.",
        "{hero} got {a_toy} and was very proud of it.",
    ], [
        "\"It is mine, [all mine|only mine]!\" {he} said.",
        "\"Nobody else may touch my {toy},\" {he} said.", "",
    ]],
    [[
        "{hero} took the {toy} to the {place}. {His} friend {friend} was there too.",
        "One day, {his} friend {friend} came to the {place} and saw the {toy}.",
        "{hero} was playing with the {toy} {in_place} when {his} friend {friend} came along.",
    ], [
        "\"What a [nice|pretty|lovely] {toy}!\" said {friend}. \"May I play with it?\"",
        "\"Can I have a turn with the {toy}, please?\" asked {friend}.",
        "\"I would love to try your {toy},\" said {friend}.",
    ], [
        "\"No!\" said {hero}. \"It is mine.\"",
        "{hero} shook {his} head. \"No, you cannot have it,\" {he} said.",
        "{hero} hid the {toy} behind {his} back and said no.",
    ], [
        "{friend} [was sad and walked away|looked down and went away|went to sit {spot}].",
        "{friend} did not say anything, but {f_his} eyes were sad.",
    ]],
    [[
        "{hero} played with the {toy} alone, but it was not much fun.",
        "Soon {hero} felt [lonely|bored]. Playing alone was no fun at all.",
        "After a while, the {toy} did not seem so [nice|special] anymore.",
    ], [
        "{A_helper} was watching. \"A {toy} is twice as much fun with two,\" {h_he} said.",
        "{His} {elder} sat down next to {him}. \"How would you feel if {friend} did not share with you?\" {e_he} asked.",
        "Then {he} saw {friend} {spot}, all alone too. {hero} felt bad.",
        "\"Why are you so quiet?\" asked {his} {elder}. \"{friend} wanted to play, and I said no,\" said {hero}.",
    ]],
    [[
        "{hero} [ran|walked] over to {friend}. \"I am sorry,\" {he} said. \"Let us play together.\"",
        "{hero} went to find {friend}. \"I was not nice to you,\" {he} said. \"Please take the {toy}. It is your turn now.\"",
        "\"{friend}, I am sorry!\" {he} called. \"Come and play with my {toy}!\"",
    ], [
        "{friend} smiled, and they took turns [all afternoon|all day|until supper].",
        "{friend} was happy again, and they played with the {toy} [{spot2}|{spot3}].",
        "Together they thought of a new game with the {toy}, and they laughed a lot.",
    ]],
    [FRIENDS_END, lesson(
        "sharing makes everything more fun.", "a {toy} is more fun when you share it.",
        "it feels good to share.", "good friends take turns.")],
]

AFRAID = [
    [INTRO, [
        "{He} was {trait}, but {he} was afraid of {fear}.",
        "There was only one thing {he} did not like. {He} was afraid of {fear}.",
        "{hero} liked almost everything, but {fear} made {him} [shake|tremble|want to hide].",
    ]],
    [[
        "[One day|One evening|One night|Then one day], {hero} had to be brave. {scare}.",
        "[One day|One evening|One night|Then one day], it happened. {scare}.",
        "[One day|One evening|One night|Then one day], {hero} wanted to [run away|hide under a blanket]. {scare}.",
    ], [
        "{His} heart went thump, thump, thump.", "{hero} closed {his} eyes and held {his} breath.",
        "{hero} [began to shake|hid {his} face in {his} hands|did not want to move].",
    ], [
        "\"I am scared,\" {he} whispered.", "\"Help! I do not like this,\" {he} cried.",
        "",
    ]],
    [[
        "{His} {elder} [sat down next to|came and held|took the hand of] {him}. \"What is the matter?\" {e_he} asked.",
        "{His} {elder} heard {him} and came at once. \"Tell me what is wrong,\" {e_he} said.",
    ], [
        "\"I am afraid of {fear},\" said {hero}.", "{hero} told {his} {elder} about {fear}.",
    ], [
        "{His} {elder} smiled. \"When I was little, I was afraid of {fear} too,\" {e_he} said. \"But then I found out that {comfort}.\"",
        "\"Everyone is afraid sometimes,\" said {his} {elder}. \"Take a deep breath, and remember that {comfort}.\"",
        "\"Hold my hand,\" said {his} {elder}. \"Do you know that {comfort}?\"",
    ]],
    [[
        "{hero} took a deep breath and counted to [three|five|ten].",
        "{hero} held {his} {cuddly} tight and [took one small step|opened {his} eyes].",
        "Slowly, {hero} [opened one eye, and then the other|lifted {his} head].",
    ], [
        "And look! It was not so bad after all.", "\"It is true!\" said {hero}. \"{Comfort}!\"",
        "Little by little, the fear went away.", "{He} tried once, and then once more. It worked!",
    ], [
        "{hero} began to [smile|laugh]. \"I did it!\" {he} said.",
        "\"I am not scared anymore,\" said {hero} proudly.",
        "\"Look at me! I am brave,\" {he} said.",
    ]],
    [NIGHT_END, lesson(
        "being brave means trying even when you are afraid.", "fear gets smaller when you talk about it.",
        "everyone is afraid sometimes.", "even a little {kind} can be very brave.")],
]

MAKING = [
    [INTRO, LIKES],
    [[
        "One day, {hero} had an idea. \"I will make {a_project}!\" {he} said.",
        "One [rainy|sunny|quiet] day, {hero} wanted to make {a_project}.",
        "One [windy|fine|long] day, {hero} said to {his} {elder}, \"I am going to make {a_project}.\"",
    ], [
        "{He} [found|got|collected] {stuff} and went to work.",
        "{He} looked [in the house|everywhere] until {he} had enough {stuff}.",
        "{His} {elder} gave {him} {stuff}, and {he} began at once.",
    ]],
    [[
        "{He} worked and worked, but then, crash! The {project} [fell apart|fell over|broke in two].",
        "But it was hard. The {project} [fell apart|broke] again and again.",
        "At first it went well. But then a strong wind came, and the {project} [fell over|broke].",
    ], [
        "\"I cannot do it,\" said {hero}[ sadly|]. \"I give up.\"",
        "{hero} [sat down and cried|was very angry|kicked a stone]. \"It is too hard!\" {he} said.",
        "{hero} wanted to [give up|stop].",
    ], [
        "{His} friend {friend} came by and looked at the pieces. \"May I help you?\" {f_he} asked.",
        "{A_helper} came by. \"Do not give up,\" {h_he} said. \"Start again, but this time go slowly.\"",
        "\"Try again,\" said {his} {elder}. \"Nobody gets it right the first time.\"",
        "{His} friend {friend} saw it and said, \"Let us do it together. You hold, and I will build.\"",
    ]],
    [[
        "So {hero} tried again. This time, {he} was [slow and careful|very careful|patient].",
        "{hero} dried {his} eyes and started again, one piece at a time.",
        "{hero} took a deep breath and began once more.",
    ], [
        "Piece by piece, the {project} grew, and at last it was done!",
        "It took [all day|a long time|many hours], but in the end the {project} was ready.",
        "And this time the {project} did not [break|fall]. It was perfect!",
    ], [
        "\"It is [beautiful|wonderful|the best {project} ever]!\" said {his} {elder}.",
        "Everyone came to see the {project} and clapped their hands.",
        "{hero} was so proud that {he} [could not stop smiling|danced around it].",
    ]],
    [NIGHT_END, lesson(
        "you should never give up.", "it is fine to fail if you try again.",
        "good work takes time.", "hard things are easier with help.")],
]

RESCUE = [
    [INTRO, LIKES],
    [DAY, [
        "Suddenly, {he} heard a [small|sad|tiny] sound. \"Help! Help!\"",
        "Then {he} heard someone crying {spot}.", "On the way, {he} saw something move {spot}.",
    ], [
        "It was a [little|small] {creature}, {stuck}.",
        "{hero} looked closely and found a [little|tiny] {creature}, {stuck}.",
    ]],
    [[
        "\"Poor little {creature}!\" said {hero}. \"Do not be afraid. I will help you.\"",
        "\"Please help me,\" said the {creature}. \"Of course I will,\" said {hero}.",
        "The {creature} looked at {hero} with big, sad eyes. {hero} wanted to help {c_him}.",
    ], [
        "{He} tried to reach the {creature}, but {he} was too small.",
        "But it was not easy, and {hero} could not do it alone.",
        "{hero} tried once, but it did not work.", "",
    ], [
        "{He} ran to get {his} friend {friend}. Together they [gently|slowly|carefully] brought the {creature} to a safe place.",
        "{He} called {his} {elder}, and {e_he} came with [a ladder|a long stick|a soft towel]. Soon the {creature} was safe.",
        "{He} thought hard and used a long branch to help the {creature}. It worked, and the {creature} was safe!",
        "Very gently, {he} lifted the {creature} up with both hands. The {creature} was safe!",
    ]],
    [[
        "\"Thank you, {hero}!\" said the {creature}. \"You are very kind.\"",
        "The {creature} was so happy that {c_he} [jumped up and down|made a little dance|sang a song].",
        "{hero} gave the {creature} some [water|bread|milk], and {c_he} felt much better.",
    ], [
        "\"One day I will help you too,\" said the {creature}.",
        "Then the {creature} went home to {c_his} family.", "",
    ]],
    [[
        "A few days later, {hero} [got lost|lost {his} way] {in_place}. Who came to help? It was the little {creature}! {C_he} showed {him} the way home.",
        "The next day, the {creature} came back with a gift. It was {a_toy}!",
        "After that, the {creature} came to see {hero} every morning.",
        "From that day on, {hero} and the {creature} were good friends.",
    ], NIGHT_END, lesson(
        "when you are kind to others, they will be kind to you.", "even small friends can be a big help.",
        "it feels good to help.", "kindness always comes back.")],
]

TRUTH = [
    [INTRO, [
        "{He} lived with {his} {elder}, who had a [beautiful|very old|special] {treasure}.",
        "In {his} house there was a {treasure} that {his} {elder} loved very much.",
    ], [
        "\"Please do not play near the {treasure},\" {his} {elder} always said.",
        "\"Be careful with it,\" {his} {elder} told {him}.", "",
    ]],
    [[
        "One [rainy|cold|quiet] day, {hero} was [running|playing with {his} {toy}|jumping] in the house.",
        "One day, {hero} and {his} friend {friend} were playing with {a_toy} inside.",
    ], [
        "Crash! The {treasure} fell down and broke.",
        "{He} bumped into the table, and the {treasure} fell to the floor with a crash.",
        "Oops! There was a loud crash, and the {treasure} was in pieces.",
    ], [
        "{hero} was very scared. {He} hid the pieces [under the bed|behind the door|in a box].",
        "\"Oh no, what have I done?\" said {hero}, and {he} hid the pieces [under the rug|in a drawer].",
    ]],
    [[
        "When {his} {elder} came home, {e_he} asked, \"Where is my {treasure}?\"",
        "Soon {his} {elder} came in. \"Have you seen my {treasure}?\" {e_he} asked.",
    ], [
        "\"I do not know,\" said {hero}, but {his} face turned red.",
        "\"Maybe the [cat|wind|dog] did it,\" said {hero}, and {he} looked at the floor.",
        "{hero} shook {his} head and said nothing.",
    ], [
        "But that night, {hero} could not sleep. {His} tummy hurt.",
        "All day long, {hero} felt [heavy|bad] inside. {He} could not even eat {his} supper.",
        "{hero} did not feel like playing anymore. The lie was like a stone in {his} pocket.",
    ]],
    [[
        "At last {he} went to {his} {elder} and said, \"I broke the {treasure}. I am so sorry.\"",
        "\"I have to tell you something,\" {he} said in the end. \"It was me. I broke the {treasure}, and then I told a lie.\"",
        "{He} took the pieces, gave them to {his} {elder}, and told the truth.",
    ], [
        "{His} {elder} was quiet for a moment. Then {e_he} hugged {him}. \"Thank you for telling the truth,\" {e_he} said.",
        "\"I am sad about the {treasure},\" said {his} {elder}, \"but I am happy that you told me.\"",
        "{His} {elder} smiled a little. \"You matter more to me than a {treasure},\" {e_he} said.",
    ], [
        "Together they [glued the pieces|put the pieces together], and the {treasure} looked almost like new.",
        "The next day, {hero} helped in the house to make up for it.",
        "They sat down and ate {a_treat}, and {hero} felt light again.",
    ]],
    [lesson(
        "telling the truth makes the heart light.", "it is always better to tell the truth.",
        "a lie only makes things worse.", "being honest takes courage.")],
]

RAINY_DAY = [
    [INTRO, LIKES],
    [[
        "One day, {hero} wanted to go to the {place} with {his} {color_toy}. But it was raining.",
        "{hero} and {his} friend {friend} had a big plan. They wanted to [have a picnic|play all day] {in_place}. But in the morning, dark clouds came, and it began to rain.",
        "All week {hero} had waited to go to the {place}. But when {he} woke up, [rain was falling|it was raining hard].",
    ], [
        "Drip, drop, drip, drop went the rain on the [window|roof].",
        "The rain fell and fell, and there were puddles everywhere.", "",
    ], [
        "\"What a bad day!\" said {hero}. \"Now I cannot go out.\"",
        "{hero} sat at the window and felt [sad|cross|bored].",
        "\"The rain spoils everything,\" {he} said.",
    ]],
    [[
        "{His} {elder} looked up and smiled. \"Rain can be fun too,\" {e_he} said.",
        "Just then, there was a knock at the door. It was {his} friend {friend}, all wet and laughing!",
        "\"I have an idea,\" said {his} {elder}. \"Put on your boots!\"",
    ], [
        "They jumped in the puddles, splish, splash, and got very wet.",
        "They made little boats out of paper and let them swim in the puddles.",
        "They built a fort out of [chairs|pillows] and blankets and told stories inside.",
        "They made {a_treat} together, and the whole house smelled good.",
    ], [
        "{hero} laughed so hard that {his} tummy hurt.", "{hero} forgot all about the {place}.",
        "\"This is better than my plan!\" said {hero}.",
    ]],
    [[
        "When the rain stopped, a [big|bright|wonderful] rainbow stood in the sky.",
        "Later, the sun came out, and there was a rainbow over the {place}.",
        "In the evening, the clouds went away, and the stars came out.",
    ], [
        "\"Look!\" said {hero}. \"How beautiful!\"",
        "\"Without the rain, there would be no rainbow,\" said {his} {elder}.",
        "{hero} looked at it for a long time.",
    ]],
    [NIGHT_END, lesson(
        "a rainy day can be a happy day.", "there is something good in every kind of weather.",
        "plans can change, and that is fine.", "you can have fun anywhere with the right friends.")],
]

SEED = [
    [INTRO, [
        "One [spring|bright|fine] day, {his} {elder} gave {him} {a_seed}.",
        "One day, {he} found {a_seed} {spot}.",
        "{A_helper} gave {him} {a_seed}. \"Take good care of it,\" {h_he} said.",
    ], [
        "\"What is it for?\" asked {hero}. \"Put it in the ground and wait,\" said {his} {elder}.",
        "\"I want to see it grow!\" said {hero}.", "{hero} held it in {his} hand. It was so small!",
    ]],
    [[
        "{hero} [dug|made] a little hole behind the house, put the {seed} inside, and gave it water.",
        "{He} planted the {seed} in the [soft|dark|warm] ground and gave it some water.",
    ], [
        "The next morning, {he} ran to look. But there was nothing to see.",
        "{He} sat down and waited. {He} waited and waited, but nothing happened.",
        "Every morning {he} went to look, but there was only [earth|brown earth].",
    ], [
        "\"Why does it not grow?\" {he} asked.",
        "\"It does not work,\" said {hero}[ sadly|]. \"Maybe I should dig it up.\"",
        "{His} friend {friend} laughed. \"Nothing will ever grow there,\" {f_he} said.",
    ]],
    [[
        "\"Be patient,\" said {his} {elder}. \"Good things take time.\"",
        "\"A seed needs sun, water, and time,\" {his} {elder} told {him}.",
        "\"It is growing where you cannot see it,\" said {his} {elder}.",
    ], [
        "So {hero} gave it water every day, and {he} sang to it.",
        "{hero} did not give up. {He} gave it water [every day|each morning], in sun and wind.",
        "{hero} waited one week, and then another.",
    ], [
        "Then, one [sunny|warm|quiet] morning, there was a tiny green leaf!",
        "And one day, something green looked out of the ground.",
    ]],
    [[
        "It grew and grew, until it was [a tall|a strong|a beautiful] {plant}.",
        "The leaf grew bigger every day, and soon it was a real {plant}.",
        "By the end of summer, it was the [finest|prettiest|biggest] {plant} in the whole village.",
    ], [
        "\"I knew it!\" said {hero} and danced around the {plant}.",
        "{hero} was so proud. \"Look at my {plant}!\" {he} called.",
        "Everyone came to see it. \"You were right to wait,\" said {his} {elder}.",
    ]],
    [lesson(
        "good things take time.", "it is worth it to wait.", "even big things start out small.",
        "with love and care, a small seed can become {a_plant}.")],
]

LOST_WAY = [
    [INTRO, LIKES],
    [DAY, [
        "{He} saw a [yellow|blue|white] butterfly and ran after it.",
        "{He} followed a little path that {he} had never seen before.",
        "{He} picked one flower here and one flower there, and went farther and farther.",
    ], [
        "When {he} looked up, {he} did not know where {he} was.",
        "After a while, everything looked strange. {hero} was lost!",
        "Soon {he} could not find the way back.",
    ]],
    [[
        "It was getting [dark|cold|late], and {hero} was afraid.",
        "The wind blew, and the trees made [strange|funny] sounds.",
        "\"Hello? Is anybody there?\" {he} called. But nobody answered.",
    ], [
        "{hero} sat down {spot} and began to cry.",
        "A tear fell on {his} [shoe|hand|nose]. \"I want to go home,\" {he} said.",
    ], [
        "Then {a_helper} came along. \"Why are you crying, little {kind}?\" {h_he} asked.",
        "{A_helper} heard {him} and came closer. \"Are you lost?\" asked the {helper}.",
    ], [
        "\"I cannot find my way home,\" said {hero}.",
        "\"I went too far, and now I am lost,\" said {hero}.",
    ]],
    [[
        "\"Do not worry,\" said the {helper}. \"Follow me. I know the way.\"",
        "\"I know where you live,\" said the {helper}. \"Come with me.\"",
        "The {helper} smiled. \"Look up. Do you see that bright star? It shows the way to your house.\"",
    ], [
        "Together they went [over the bridge|through the tall grass|down the hill].",
        "They walked for a long time, and the {helper} told {him} a [funny|nice|long] story.",
    ], [
        "At last {hero} saw a light in the window. {He} was home!",
        "Soon {he} could see {his} house. {His} {elder} was waiting at the door!",
    ]],
    [[
        "{His} {elder} hugged {him} tight. \"I was so worried!\" {e_he} said.",
        "{hero} ran into the arms of {his} {elder}. \"I am so glad you are back,\" {e_he} said.",
    ], [
        "{hero} wanted to thank the {helper}, but {h_he} was already gone.",
        "\"Thank you, dear friend,\" said {hero} to the {helper}, and they shared {a_treat}.",
        "They gave the {helper} {a_treat} to say thank you.",
    ], lesson(
        "you should not go too far alone.", "it is wise to stay on the path.",
        "there is always someone who will help.", "it is good to tell someone where you are going.")],
]

RACE = [
    [INTRO, [
        "{He} was the fastest {kind} in the village, and {he} told everyone about it.",
        "{He} could run very fast. \"Nobody is as fast as I am!\" {he} always said.",
        "{He} liked to win more than anything.",
    ]],
    [[
        "One day, there was a big race {in_place}. {His} friend {friend} wanted to run too.",
        "\"Let us have a race {in_place},\" said {his} friend {friend} one [sunny|fine|warm] day.",
        "One day, {hero} and {his} friend {friend} had a race from the {place} to the old mill.",
    ], [
        "\"You? You are much too slow,\" said {hero} and laughed.",
        "\"I will win, of course,\" said {hero}.",
        "{hero} looked at {friend} and smiled. \"This will be easy,\" {he} said.",
    ]],
    [[
        "\"One, two, three, go!\" called {a_helper}, and off they went.",
        "{A_helper} rang a bell, and the race began.",
    ], [
        "{hero} was soon far ahead. {He} was so sure of winning that {he} [sat down|lay down|took a rest] {spot}.",
        "{hero} ran so fast that {he} did not look where {he} was going. {He} fell over a stone and hurt {his} knee.",
        "{hero} was first. But then {he} stopped {spot} to [eat some berries|look at the clouds], and {he} forgot the time.",
    ], [
        "{friend} ran on and on, step by step, and came closer and closer.",
        "{friend} was slow, but {f_he} did not give up.",
    ]],
    [[
        "{friend} saw {hero} and stopped. \"Come,\" {f_he} said. \"We can finish together.\"",
        "When {hero} looked up, {friend} was already at the end. {friend} had won!",
        "{friend} could have won, but {f_he} came back to help {hero}. \"Are you all right?\" {f_he} asked.",
    ], [
        "{hero} felt [ashamed|sorry]. \"I should not have laughed at you,\" {he} said.",
        "{hero} was quiet for a while. Then {he} said, \"You ran a good race, {friend}.\"",
        "\"I am sorry that I was so proud,\" said {hero}.",
    ], [
        "\"That is all right,\" said {friend}, and they shook hands.",
        "{friend} laughed. \"Let us run again tomorrow,\" {f_he} said.",
        "Then they shared {a_treat} {spot2}.",
    ]],
    [FRIENDS_END, lesson(
        "it is not good to boast.", "being kind is better than being fast.",
        "slow and steady can win the race.", "a friend is better than a prize.")],
]

BAKING = [
    [INTRO, LIKES],
    [[
        "One day, {his} {elder} was [sick in bed|very tired|a little sad]. {hero} wanted to make {e_him} happy.",
        "Tomorrow was the birthday of {his} {elder}. {hero} wanted to make a surprise.",
        "All week long, {his} {elder} had worked very hard. {hero} wanted to do something nice for {e_him}.",
    ], [
        "\"I know! I will make {a_treat}!\" {he} said.",
        "\"I will make {a_treat},\" thought {hero}, and {he} went to the kitchen.",
    ]],
    [[
        "{He} [took|found] a big bowl and a [long|wooden] spoon and went to work.",
        "{He} stirred and stirred, and soon there was flour on {his} nose.",
        "{He} put in a little of this and a little of that.",
    ], [
        "But {he} [put in salt and not sugar|forgot to look at the clock|spilled the milk]. What a mess!",
        "But then the bowl fell down, and everything was on the floor. \"Oh no!\" cried {hero}.",
        "When {he} tasted it, {he} made a face. It tasted awful!",
    ], [
        "{His} friend {friend} heard the noise and came in. \"I will help you clean up,\" {f_he} said, \"and then we will start again.\"",
        "{hero} wanted to cry, but then {he} cleaned the kitchen and tried again.",
        "{hero} did not give up. {He} wiped the table and began again.",
    ]],
    [[
        "This time it worked! The whole house smelled [wonderful|sweet|warm and good].",
        "At last it was ready, and it looked [wonderful|delicious|perfect].",
    ], [
        "{hero} put a [little flower|red ribbon|paper heart] on the plate.",
        "{hero} carried it very carefully with both hands.", "",
    ], [
        "\"For me?\" asked {his} {elder}. \"I made it just for you,\" said {hero}.",
        "\"Surprise!\" called {hero}. \"This is for you.\"",
    ]],
    [[
        "\"I have never tasted anything so good,\" said {his} {elder}.",
        "They ate it all up, and not one crumb was left.",
        "They sat together and shared it, and everyone felt much better.",
    ], NIGHT_END, lesson(
        "a gift made with love is the best gift.", "making others happy makes you happy too.",
        "everybody makes mistakes, and you can try again.", "a little kindness tastes sweet.")],
]

BEDTIME = [
    [INTRO, [
        "One [quiet|cold|starry|windy] night, {hero} could not sleep.",
        "It was late, and everyone was asleep. Only {hero} was still awake.",
    ]],
    [[
        "{He} turned to the left, and {he} turned to the right, but sleep did not come.",
        "{He} counted [sheep|stars], but it did not help.",
        "{He} closed {his} eyes, but they opened again.",
    ], [
        "{He} got up and went to the window. Outside, the moon was [big and round|bright|smiling].",
        "{He} heard {a_helper} far away, and then it was quiet again.",
        "{He} took {his} {cuddly} and went to look for {his} {elder}.",
    ], [
        "\"I am not tired,\" {he} said.", "\"Why can I not sleep?\" {he} asked.",
        "\"My head is full of thoughts,\" {he} said.",
    ]],
    [[
        "\"Think of the best thing that happened today,\" said a soft voice. It was {his} {elder}.",
        "{His} {elder} came in and sat on the bed. \"Tell me about your day,\" {e_he} said.",
        "{His} {elder} made {him} a cup of warm milk and told {him} a story.",
    ], [
        "{hero} thought of the {place}, where {he} had played with {his} friend {friend} {spot}.",
        "\"My friend {friend} and I played {in_place},\" said {hero}, \"and I found {a_toy} {spot}.\"",
        "\"I shared {a_treat} with my friend {friend},\" said {hero}. \"That was the best thing.\"",
        "{hero} listened to the story of a {creature} who was {stuck}, and of the {f_kind} who helped {c_him}.",
    ], [
        "The more {he} thought of it, the heavier {his} eyes became.",
        "{His} {elder} [sang a quiet song|held {his} hand], and the [wind|moon] listened.",
        "{He} yawned once, and then {he} yawned again.",
    ]],
    [[
        "\"Good night, {hero},\" said {his} {elder}. \"Tomorrow is a new day.\"",
        "\"Good night, moon,\" said {hero}. \"Good night, stars.\"",
        "\"Sleep well,\" {his} {elder} whispered, and {e_he} turned off the light.",
    ], [
        "But {hero} did not hear it. {He} was already fast asleep.",
        "And soon {hero} was fast asleep, with {his} {cuddly} in {his} arms.",
        "{hero} smiled, closed {his} eyes, and dreamed of the {place}.",
    ]],
]

PLOTS = [LOST_TOY, NEW_FRIEND, SHARING, AFRAID, MAKING, RESCUE, TRUTH, RAINY_DAY, SEED, LOST_WAY, RACE, BAKING,
         BEDTIME]
